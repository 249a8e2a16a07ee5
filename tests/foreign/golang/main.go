// Asks golang.org/x/mod/sumdb what it thinks of notes, proofs and tiles. One question a line,
// one answer a line; bytes are in base64.
//
//	key VKEY                            a key that is known from here on (types 0x01 and 0x04)
//	note DATA                           ok TEXT SIGNATURES, or no
//	inclusion INDEX SIZE LEAF ROOT HASH...    ok or no
//	consistency OLD NEW ROOT ROOT HASH...     ok or no
//	tiles DIR SIZE ROOT INDEX LEAF OLD ROOT   ok or no: entry and older tree, through tile files
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// cosigner verifies type 0x04, which the package leaves to others.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.id }

func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(signature))
	return ed25519.Verify(c.key, append([]byte(head), text...), signature[8:])
}

func verifier(vkey string) note.Verifier {
	name, rest, _ := strings.Cut(vkey, "+")
	_, material, _ := strings.Cut(rest, "+")
	raw := decode(material)
	if raw[0] == 4 {
		sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
		return cosigner{name, binary.BigEndian.Uint32(sum[:]), raw[1:]}
	}
	found, err := note.NewVerifier(vkey)
	if err != nil {
		panic(err)
	}
	return found
}

func decode(text string) []byte {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}

func hashes(texts []string) []tlog.Hash {
	found := make([]tlog.Hash, len(texts))
	for i, text := range texts {
		copy(found[i][:], decode(text))
	}
	return found
}

// folder reads tiles of C2SP tlog-tiles, whose paths leave out the height.
type folder string

func (f folder) Height() int                         { return 8 }
func (f folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(tiles))
	for i, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		read[i] = data
	}
	return read, nil
}

func tiles(words []string) error {
	size, index, old := number(words[1]), number(words[3]), number(words[5])
	roots := hashes([]string{words[2], words[4], words[6]})
	root, leaf, older := roots[0], roots[1], roots[2]
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, folder(words[0]))
	record, err := tlog.ProveRecord(size, index, reader)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(record, size, root, index, leaf); err != nil {
		return err
	}
	tree, err := tlog.ProveTree(size, old, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(tree, size, root, old, older)
}

func main() {
	var known []note.Verifier
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<22)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		words := strings.Split(in.Text(), " ")
		var err error
		switch words[0] {
		case "key":
			known = append(known, verifier(words[1]))
			continue
		case "note":
			opened, fault := note.Open(decode(words[1]), note.VerifierList(known...))
			if fault == nil {
				text := base64.StdEncoding.EncodeToString([]byte(opened.Text))
				fmt.Fprintln(out, "ok", text, len(opened.Sigs))
				continue
			}
			err = fault
		case "inclusion":
			found := hashes(words[3:])
			proof := tlog.RecordProof(found[2:])
			err = tlog.CheckRecord(proof, number(words[2]), found[1], number(words[1]), found[0])
		case "consistency":
			found := hashes(words[3:])
			proof := tlog.TreeProof(found[2:])
			err = tlog.CheckTree(proof, number(words[2]), found[1], number(words[1]), found[0])
		case "tiles":
			err = tiles(words[1:])
		}
		if err != nil {
			fmt.Fprintln(out, "no", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Fprintln(out, "ok")
		}
	}
}
