// What every page of the dashboard does by itself: theme, keyboard, menu, palette, times, notices.
(() => {
  const root = document.documentElement;
  const THEMES = ["auto", "light", "dark"];
  const theme = () => {
    try {
      return localStorage.getItem("orchard-theme") || "auto";
    } catch {
      return "auto";
    }
  };
  const wear = (name) => {
    root.dataset.theme = name;
    const dark = name === "dark" || (name === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    window.Quasar?.Dark?.set(dark);
    document.getElementById("nicegui-color-scheme")?.setAttribute("content", name === "auto" ? "light dark" : name);
    for (const one of document.querySelectorAll("[data-theme-name]")) one.textContent = name;
  };
  wear(theme());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => wear(theme()));

  // Times are told by the browser, so that nothing is sent for them.
  const UNITS = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
  ];
  const ago = (seconds) => {
    for (const [name, size] of UNITS) if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
    return seconds < 10 ? "now" : `${Math.floor(seconds / 10) * 10} s`;
  };
  const tick = (within) => {
    for (const one of (within || document).querySelectorAll("time[data-ago]")) {
      const at = new Date(one.dateTime);
      const text = ago(Math.max(0, (Date.now() - at) / 1000));
      const shown = one.dataset.ago === "ago" && text !== "now" ? `${text} ago` : text;
      if (one.textContent !== shown) one.textContent = shown;
      if (!one.title) one.title = at.toLocaleString();
    }
  };
  setInterval(tick, 5000);

  const find = (selector) => document.querySelector(selector);
  const menu = (open) => {
    document.body.classList.toggle("menu-open", open);
    find("[data-menu]")?.setAttribute("aria-expanded", String(open));
  };
  const palette = () => {
    const dialog = find("#palette");
    if (!dialog || dialog.open) return;
    menu(false);
    dialog.showModal();
    const field = dialog.querySelector("input");
    field.select();
    field.focus();
  };
  const filtered = () => {
    const words = (find("#palette input")?.value || "").toLowerCase().split(/\s+/).filter(Boolean);
    let first = true;
    for (const one of document.querySelectorAll("#palette [data-choice]")) {
      const fits = words.every((word) => one.textContent.toLowerCase().includes(word));
      one.hidden = !fits;
      one.classList.toggle("chosen", fits && first);
      if (fits) first = false;
    }
  };
  const choose = (step) => {
    const all = [...document.querySelectorAll("#palette [data-choice]:not([hidden])")];
    const at = all.findIndex((one) => one.classList.contains("chosen"));
    all[at]?.classList.remove("chosen");
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    next?.classList.add("chosen");
    next?.scrollIntoView({ block: "nearest" });
  };
  const rows = (step) => {
    const all = [...document.querySelectorAll("main [data-row]")].filter((one) => one.offsetParent);
    if (!all.length) return;
    const at = all.indexOf(document.activeElement.closest?.("[data-row]"));
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") menu(false);
    const inside = event.target.closest?.("#palette");
    if (inside && event.key === "Escape") {
      event.preventDefault();
      return inside.close(); // a search field would only be emptied
    }
    if (inside && ["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) {
      event.preventDefault();
      if (event.key === "Enter") find("#palette .chosen:not([hidden])")?.click();
      else choose(event.key === "ArrowDown" ? 1 : -1);
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      return palette();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    // A field of a dialog that was closed a moment ago has the keys until the next frame.
    if (event.target.closest?.("input, textarea, select, [contenteditable]")?.checkVisibility()) return;
    if (Date.now() - going < 1200) {
      going = 0;
      const link = document.querySelector(`a[data-key-go="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        return link.click();
      }
    }
    const does = {
      g: () => (going = Date.now()),
      "/": palette,
      "?": () => find("#keys")?.showModal(),
      j: () => rows(1),
      k: () => rows(-1),
      t: next_theme,
    }[event.key];
    if (does) {
      event.preventDefault();
      does();
    }
  });
  function next_theme() {
    const name = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
    try {
      localStorage.setItem("orchard-theme", name);
    } catch {
      // It holds as long as the page does.
    }
    wear(name);
  }
  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest?.(selector);
    if (hit("[data-menu]")) return menu(!document.body.classList.contains("menu-open"));
    if (hit("[data-veil]") || hit("nav.side a")) menu(false);
    if (hit("[data-palette]")) return palette();
    if (hit("[data-keys]")) return find("#keys")?.showModal();
    if (hit("[data-theme-next]")) return next_theme();
    if (hit("[data-close]") || event.target.tagName === "DIALOG") event.target.closest("dialog")?.close();
  });
  document.addEventListener("input", (event) => event.target.closest?.("#palette") && filtered());
  document.addEventListener("orchard:changed", (event) => {
    tick(event.detail);
    for (const one of event.detail.querySelectorAll("[data-theme-name]")) one.textContent = theme();
    if (event.detail.querySelector("[data-choice]") || event.detail.closest("#palette")) filtered();
  });

  // Quasar, which comes after this, is told of the theme when it is there.
  window.addEventListener("load", () => wear(theme()));

  window.orchard = {
    notice(kind, title, text) {
      let shelf = find("#notices");
      if (!shelf) {
        shelf = Object.assign(document.createElement("div"), { id: "notices" });
        shelf.setAttribute("role", "status");
        document.body.append(shelf);
      }
      const one = document.createElement("div");
      one.className = `notice ${kind}`;
      one.append(Object.assign(document.createElement("strong"), { textContent: title }));
      if (text) one.append(Object.assign(document.createElement("p"), { textContent: text }));
      shelf.append(one);
      setTimeout(() => one.remove(), kind === "bad" ? 12000 : 5000);
    },
  };
})();
