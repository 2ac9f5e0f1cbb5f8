// Keys, and ticking all. The console works without it.
"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("[data-row]")];
  let at = -1;
  const go = (step) => {
    const all = rows();
    if (!all.length) return;
    if (at >= 0) all[at].classList.remove("at");
    at = Math.max(0, Math.min(all.length - 1, at + step));
    all[at].classList.add("at");
    all[at].scrollIntoView({ block: "nearest" });
    all[at].querySelector("a")?.focus({ preventScroll: true });
  };
  const help = () => {
    let d = document.querySelector("dialog");
    if (!d) {
      d = document.createElement("dialog");
      d.setAttribute("aria-label", "Keys");
      const list = document.createElement("ul");
      for (const line of ["j, k: next and previous row", "Enter: open it", "x: tick it", "/: search", "a: approve", "d: deny", "g then t, r: tokens, review", "Escape: close this"]) {
        const li = document.createElement("li");
        li.textContent = line;
        list.append(li);
      }
      d.append(list);
      document.body.append(d);
    }
    d.showModal();
  };
  let before = "";
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select")) return;
    const key = e.key;
    const organization = /^\/organizations\/[^/]+/.exec(location.pathname)?.[0];
    if (before === "g" && organization && (key === "t" || key === "r")) {
      location.href = organization + (key === "t" ? "/tokens" : "/review");
    } else if (key === "j") go(1);
    else if (key === "k") go(-1);
    else if (key === "x" && at >= 0) rows()[at].querySelector("input[type=checkbox]")?.click();
    else if (key === "?") help();
    else {
      const to = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (to) {
        e.preventDefault();
        to.focus();
      }
    }
    before = key;
  });
  // What changes by itself does not change under somebody's hands.
  document.addEventListener("htmx:beforeRequest", (e) => {
    if (e.target.contains(document.activeElement) || e.target.querySelector(".at, details[open]")) e.preventDefault();
  });
  // And an answer that is not this page, such as that to log in again, is not put into it.
  document.addEventListener("htmx:beforeSwap", (e) => {
    const xhr = e.detail.xhr;
    if (xhr.status !== 200 || new URL(xhr.responseURL).pathname !== location.pathname) {
      e.preventDefault();
      if (xhr.status === 200) location.reload();
    }
  });
  document.querySelector("[data-all]")?.addEventListener("change", (e) => {
    for (const box of document.querySelectorAll("input[name=token]")) box.checked = e.target.checked;
  });
})();
