// The camera of the page that checks receipts: frames go to this node, which finds the codes.
"use strict";
(() => {
  const box = document.querySelector("[data-camera]"), form = document.querySelector("#check");
  if (!box || !form || !navigator.mediaDevices?.getUserMedia) return;
  const one = (css) => box.querySelector(css);
  const start = one("[data-scan]"), stop = one("[data-stop]"), video = one("video"), line = one("[data-said]");
  const canvas = document.createElement("canvas");
  const PAUSE_MS = 250, SIDE_PX = 1600;
  let stream = null;
  box.hidden = false;

  const end = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.hidden = stop.hidden = true;
    start.hidden = false;
  };
  const keep = (part) => {
    if ([...form.querySelectorAll('input[name="part"]')].some((field) => field.value === part)) return false;
    const field = document.createElement("input");
    field.type = "hidden"; field.name = "part"; field.value = part;
    form.append(field);
    return true;
  };
  // the byte that tells place and count stands after mark and digest
  const told = (part) => { const byte = atob(part).charCodeAt(7); return { digest: part.slice(0, 9), count: byte & 15 }; };
  const whole = () => {
    const parts = [...form.querySelectorAll('input[name="part"]')].map((field) => told(field.value));
    const last = parts.at(-1);
    return last && parts.filter((part) => part.digest === last.digest).length >= last.count;
  };
  const frame = () => new Promise((done) => {
    const scale = Math.min(1, SIDE_PX / Math.max(video.videoWidth, video.videoHeight, 1));
    canvas.width = video.videoWidth * scale; canvas.height = video.videoHeight * scale;
    if (!canvas.width) { done(null); return; }
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(done, "image/jpeg", 0.85);
  });
  const look = async () => {
    const picture = await frame();
    if (!picture) return;
    const sent = new FormData();
    sent.append("file", picture, "frame.jpg");
    const answer = await fetch("/receipts/check/frame", {
      method: "POST", credentials: "same-origin", body: sent,
      headers: { Accept: "application/json", "X-CSRF-Token": form.elements.csrf.value },
    });
    if (!answer.ok) throw new Error(answer.status);
    const { parts, said } = await answer.json();
    if (said) line.textContent = said;
    if (parts.map(keep).some(Boolean) && whole()) { end(); form.requestSubmit(); }
  };
  const run = async () => {
    while (stream) {
      try { await look(); } catch { line.textContent = box.dataset.no; end(); return; }
      await new Promise((done) => { setTimeout(done, PAUSE_MS); });
    }
  };
  start.addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false, video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } },
      });
    } catch { line.textContent = box.dataset.no; return; }
    video.srcObject = stream;
    video.hidden = stop.hidden = false; start.hidden = true;
    line.textContent = line.dataset.hint;
    await video.play();
    run();
  });
  stop.addEventListener("click", end);
  addEventListener("pagehide", end);
  document.addEventListener("visibilitychange", () => { if (document.hidden) end(); });
})();
