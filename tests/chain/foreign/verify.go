// Command verify checks a tlog-tiles folder with golang.org/x/mod/sumdb, which knows nothing of us.
//
//	verify DIR LOG_VKEY COSIGNER_VKEY PROOFS.json
//
// DIR/checkpoints holds a signed checkpoint for each size that was published. Proofs are made here
// out of the tiles, and each must be the one that PROOFS.json holds. Prints what was checked.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }

// Verify checks a 0x04 signature (C2SP tlog-cosignature), which note does not know by itself.
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(head), msg...), sig[8:])
}

func newCosigner(vkey string) cosigner {
	parts := strings.SplitN(vkey, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	check(err)
	id := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	hash := binary.BigEndian.Uint32(id[:4])
	if raw[0] != 4 || fmt.Sprintf("%08x", hash) != parts[1] {
		fail("the cosigner's key is malformed")
	}
	return cosigner{parts[0], hash, raw[1:]}
}

type folder string

func (f folder) Height() int                                { return 8 }
func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := filepath.Join(string(f), "tile", strings.TrimPrefix(tile.Path(), "tile/8/"))
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			// the full tile may stand for a partial one
			data, err = os.ReadFile(strings.Split(path, ".p")[0])
		}
		if err != nil {
			return nil, err
		}
		all = append(all, data[:tile.W*tlog.HashSize])
	}
	return all, nil
}

func (f folder) entry(index, size int64) []byte {
	path := tlog.Tile{H: 8, L: 0, N: index / 256, W: 256}.Path()
	path = filepath.Join(string(f), "tile/entries", strings.TrimPrefix(path, "tile/8/0/"))
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		data, err = os.ReadFile(fmt.Sprintf("%s.p/%d", path, size%256))
	}
	check(err)
	for at := int64(0); at < index%256; at++ {
		data = data[2+int(binary.BigEndian.Uint16(data)):]
	}
	return data[2 : 2+int(binary.BigEndian.Uint16(data))]
}

type proofs struct {
	Inclusion []struct {
		Index, Size int64
		Proof       []tlog.Hash
	}
	Consistency []struct {
		Old, New int64
		Proof    []tlog.Hash
	}
}

func main() {
	dir := folder(os.Args[1])
	log, err := note.NewVerifier(os.Args[2])
	check(err)
	known := note.VerifierList(log, newCosigner(os.Args[3]))
	roots := map[int64]tlog.Hash{}
	files, err := filepath.Glob(filepath.Join(string(dir), "checkpoints", "*"))
	check(err)
	for _, file := range files {
		size, root := open(file, known, log.Name())
		roots[size] = root
	}
	raw, err := os.ReadFile(os.Args[4])
	check(err)
	var ours proofs
	check(json.Unmarshal(raw, &ours))
	for _, one := range ours.Inclusion {
		root, leaf := roots[one.Size], tlog.RecordHash(dir.entry(one.Index, 70000))
		check(tlog.CheckRecord(one.Proof, one.Size, root, one.Index, leaf))
		reader := tlog.TileHashReader(tlog.Tree{N: one.Size, Hash: root}, dir)
		made, err := tlog.ProveRecord(one.Size, one.Index, reader)
		check(err)
		same(made, one.Proof)
	}
	for _, one := range ours.Consistency {
		check(tlog.CheckTree(one.Proof, one.New, roots[one.New], one.Old, roots[one.Old]))
		reader := tlog.TileHashReader(tlog.Tree{N: one.New, Hash: roots[one.New]}, dir)
		made, err := tlog.ProveTree(one.New, one.Old, reader)
		check(err)
		same(made, one.Proof)
	}
	fmt.Println(len(roots), len(ours.Inclusion), len(ours.Consistency))
}

func open(file string, known note.Verifiers, origin string) (int64, tlog.Hash) {
	data, err := os.ReadFile(file)
	check(err)
	read, err := note.Open(data, known)
	check(err)
	if len(read.Sigs) != 2 || len(read.UnverifiedSigs) != 0 {
		fail("not both signatures are good")
	}
	lines := strings.Split(read.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	if lines[0] != origin || len(lines) != 4 {
		fail("the checkpoint is of another log")
	}
	return size, root
}

func same(made, given []tlog.Hash) {
	if len(made) != len(given) {
		fail("a proof has another length")
	}
	for at := range made {
		if !bytes.Equal(made[at][:], given[at][:]) {
			fail("a proof differs")
		}
	}
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
