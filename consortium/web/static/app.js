// What pages do beyond plain forms. Every page works without it.
"use strict";
(() => {
  const body = document.body, one = (css, from = document) => from.querySelector(css);
  const all = (css, from = document) => [...from.querySelectorAll(css)];
  const token = () => one('input[name="csrf"]')?.value ?? "";
  const renew = (csrf) => {
    if (!csrf) return;
    all('input[name="csrf"]').forEach((field) => { field.value = csrf; });
    body.setAttribute("hx-headers:inherited", JSON.stringify({ "X-CSRF-Token": csrf }));
  };
  const inField = (el) => el.closest?.('input:not([type="radio"]):not([type="checkbox"]), textarea, select, [contenteditable]');
  const post = (href, fields = {}, more = {}) => fetch(href, {
    method: "POST", credentials: "same-origin", body: new URLSearchParams(fields), ...more,
    headers: { Accept: "application/json", "X-CSRF-Token": token() },
  });

  // -- a form goes once: the second press finds it on its way; back and forth makes it whole again
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-once]")) return;
    if (form.dataset.going) { event.preventDefault(); return; }
    if (form.hasAttribute("hx-post")) return;
    form.dataset.going = "1";
    event.submitter?.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", () => all("form[data-going]").forEach((form) => {
    delete form.dataset.going;
    all("[aria-busy]", form).forEach((button) => button.removeAttribute("aria-busy"));
  }));

  // -- drafts: two seconds after typing, again after a failure, at once when the page is hidden
  const drafts = new Map();
  const fieldsOf = (form) => [...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "csrf");
  const gauge = (html) => {
    const drawn = document.createElement("template");
    drawn.innerHTML = html;
    for (const fresh of [...drawn.content.children]) {
      const old = one(`#${fresh.id}`);
      if (old && !old.contains(document.activeElement)) old.replaceWith(fresh);
    }
  };
  const save = async (form, keepalive = false) => {
    const text = JSON.stringify(fieldsOf(form)), known = drafts.get(form);
    clearTimeout(known.timer);
    if (text === known.text || form.dataset.going) return;
    const line = one("#saved");
    try {
      const href = form.dataset.save ?? `/drafts/${encodeURIComponent(form.dataset.draft)}`;
      const answer = await post(href, fieldsOf(form), { keepalive });
      const said = await answer.json().catch(() => ({}));
      // no session, or somebody signed in anew in another tab: this page's token is of the one before
      if (answer.status === 401 || said.code === "web.csrf") lock();
      if (!answer.ok) throw new Error(answer.status);
      known.text = text;
      if (line) line.textContent = line.dataset.saved.replace("{time}", said.at);
      gauge(said.gauge ?? "");
    } catch {
      if (line) line.textContent = line.dataset.unsaved;
      known.timer = setTimeout(() => save(form), 5000);
    }
  };
  const keepDraft = (form) => {
    if (drafts.has(form)) return;
    drafts.set(form, { text: JSON.stringify(fieldsOf(form)), timer: 0 });
    form.addEventListener("input", () => {
      clearTimeout(drafts.get(form).timer);
      drafts.get(form).timer = setTimeout(() => save(form), 2000);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) drafts.forEach((_, form) => form.isConnected && save(form, true));
  });

  // -- the event stream mends its own breaks; where its first request failed it is asked for again
  const RETRY_MS = 2000, RETRY_MOST_MS = 60000;
  let pause = RETRY_MS;
  const listen = () => {
    const old = one("#live"), fresh = old?.cloneNode(false);
    if (old) { fresh.removeAttribute("data-htmx-powered"); old.replaceWith(fresh); window.htmx?.process(fresh); }
  };
  for (const kind of ["htmx:error", "htmx:response:error"]) document.addEventListener(kind, (event) => {
    if (event.detail?.ctx?.sourceElement?.id !== "live") return;
    setTimeout(() => { if (!one("#lock")?.open) listen(); }, pause);
    pause = Math.min(2 * pause, RETRY_MOST_MS);
  });
  document.addEventListener("htmx:sse:after:connection", () => { pause = RETRY_MS; });
  // it may have failed before this script was there to hear of it
  setTimeout(() => {
    const live = one("#live");
    if (live && !live.classList.contains("htmx-request") && !live._htmx?.sse && !one("#lock")?.open) listen();
  }, RETRY_MS);

  // -- files: too large is said before it is sent; a form with files shows how far it has come
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!input.matches('input[type="file"][data-limit]')) return;
    const large = [...input.files].some((file) => file.size > Number(input.dataset.limit));
    input.setCustomValidity(large ? input.dataset.large : "");
    if (large) input.reportValidity();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target, bar = one("[data-progress]", form);
    const files = all('input[type="file"]', form).some((input) => input.files.length);
    if (event.defaultPrevented || !bar || !files || form.hasAttribute("hx-post")) return;
    event.preventDefault();
    const words = one("[data-progress-words]", form), call = new XMLHttpRequest();
    const data = new FormData(form, event.submitter), kb = (n) => `${Math.max(1, Math.round(n / 1000))}\u00a0KB`;
    bar.hidden = false;
    call.upload.onprogress = ({ loaded, total }) => {
      const percent = Math.round(100 * loaded / total);
      bar.value = percent;
      words.textContent = words.dataset.progressWords.replace("{percent}", percent).replace("{done}", kb(loaded)).replace("{total}", kb(total));
    };
    // to a place in this very page: the page has to come anew all the same
    const follow = (to) => {
      const stays = to.hash && to.href.split("#")[0] === location.href.split("#")[0];
      location.assign(to.href);
      if (stays) location.reload();
    };
    const again = () => { delete form.dataset.going; bar.hidden = true; event.submitter?.removeAttribute("aria-busy"); };
    call.onload = () => {
      const next = call.getResponseHeader("HX-Redirect");
      if (next) { follow(new URL(next, location.href)); return; }
      if (call.getResponseHeader("HX-Trigger") === "locked") { again(); lock(); return; }
      if (call.getResponseHeader("HX-Retarget")) {
        again();
        one("#notice").innerHTML = call.responseText;
        one("#notice #refused-title").focus();
        return;
      }
      // the form came back as a whole page, with what is wrong beside its fields
      document.open(); document.write(call.responseText); document.close();
    };
    call.onerror = again;
    call.open("POST", event.submitter?.getAttribute("formaction") ?? form.action);
    call.setRequestHeader("HX-Request", "true");
    call.send(data);
  });

  // -- lock: over the page, which keeps everything; the server is told, so that nothing goes past it
  const box = one("#lock"), idleMs = 1000 * Number(body.dataset.idle || 0);
  let acted = Date.now(), told = Date.now();
  const lock = () => {
    if (!box || box.open) return;
    drafts.forEach((_, form) => form.isConnected && save(form, true));
    box.showModal();
    one("#app").inert = true;
    post("/lock").catch(() => {});
  };
  const unlocked = (csrf) => {
    renew(csrf);
    box.close();
    one("#app").inert = false;
    one("#lock-password").value = "";
    acted = told = Date.now();
    drafts.forEach((_, form) => form.isConnected && save(form));
    listen();
  };
  if (box && idleMs) {
    for (const kind of ["pointerdown", "keydown", "wheel", "touchstart"])
      addEventListener(kind, () => { acted = Date.now(); }, { passive: true, capture: true });
    setInterval(() => {
      if (box.open) return;
      if (Date.now() - acted >= idleMs) lock();
      else if (acted > told && Date.now() - told >= Math.min(120000, idleMs / 3)) {
        told = Date.now();
        post("/alive").then((answer) => answer.status === 401 && lock()).catch(() => {});
      }
    }, 1000);
    box.addEventListener("cancel", (event) => event.preventDefault());
    one("#unlock").addEventListener("submit", async (event) => {
      event.preventDefault();
      const wrong = one("#lock-wrong");
      try {
        const who = one('[name="who"]', event.target).value;
        const answer = await post("/lock", { who, password: one("#lock-password").value });
        if (answer.ok) { wrong.hidden = true; unlocked(answer.headers.get("X-CSRF-Token")); return; }
        wrong.textContent = (await answer.json()).error ?? wrong.dataset.unheard;
      } catch { wrong.textContent = wrong.dataset.unheard; }
      // the page stays as it is, with all that was typed
      wrong.hidden = false;
      one("#lock-password").select();
    });
    body.addEventListener("locked", lock);
    document.addEventListener("htmx:sse:error", (event) => event.detail?.status === 401 && lock());
  }

  // -- keys: digits, because an input method swallows letters; off inside fields
  const rows = () => all(".work td.act a, .queue li > a");
  const step = (by) => {
    const list = rows(), now = list.indexOf(document.activeElement);
    list[Math.max(0, Math.min(list.length - 1, now + by))]?.focus();
  };
  const press = (key) => {
    const found = all(`[data-key="${CSS.escape(key)}"]`).find((el) => el.offsetParent !== null);
    found?.click();
    return Boolean(found);
  };
  const switched = { get off() { try { return localStorage.keys === "off"; } catch { return false; } } };
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || box?.open) return;
    if (event.key === "F1") { event.preventDefault(); location.assign("/help"); return; }
    if (switched.off && event.key.length === 1) return;
    if (event.key === "Enter" && event.ctrlKey) {
      const button = one("[data-send]");
      if (button) { event.preventDefault(); button.click(); }
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") {
      const open = one("details.menu[open]");
      if (open) { open.open = false; one("summary", open).focus(); } else if (inField(event.target)) event.target.blur();
      return;
    }
    if (inField(event.target)) return;
    if (event.key === "/") { event.preventDefault(); one("#find")?.focus(); return; }
    if (event.key === "?") { location.assign("/help"); return; }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!rows().length || event.target.closest('[role="radiogroup"], input')) return;
      event.preventDefault();
      step(event.key === "ArrowDown" ? 1 : -1);
      return;
    }
    if (event.key.length === 1 && press(event.key.toLowerCase())) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    all("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
    if (event.target.closest("[data-print]")) print();
  });

  // -- after a swap that somebody asked for, focus goes to the new heading; events move nothing
  document.addEventListener("htmx:after:swap", (event) => {
    const ctx = event.detail?.ctx;
    ready();
    if (!ctx || ctx.sourceElement?.id === "live") { speak(); return; }
    const heading = one("#refused-title, [data-focus]", ctx.target?.isConnected ? ctx.target : document) ?? one("#notice #refused-title");
    if (heading) { heading.setAttribute("tabindex", "-1"); heading.focus(); }
  });

  // -- the strip is read out at most once a minute
  let spoken = 0, last = "";
  const speak = () => {
    const words = one("#strip")?.innerText.replace(/\s+/g, " ").trim() ?? "";
    if (!words || words === last || Date.now() - spoken < 60000) return;
    if (last) { one("#said").textContent = words; spoken = Date.now(); }
    last = words;
  };

  const ready = () => {
    all("form[data-draft]").forEach(keepDraft);
    all("[data-print]").forEach((button) => { button.hidden = false; });
    all("[data-keys]").forEach((label) => {
      const tick = one("input", label);
      label.hidden = false;
      tick.checked = !switched.off;
      tick.onchange = () => { localStorage.keys = tick.checked ? "on" : "off"; };
    });
  };
  ready();
  speak();
  const refusal = one("#refused-title");
  if (refusal) refusal.focus();
  setTimeout(() => one("#toast > .toast")?.remove(), 8000);
})();
