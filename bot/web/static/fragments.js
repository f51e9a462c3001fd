// Pieces of a page by key. What the server sends again is brought into what is there: focus, scrolling,
// opened details and typed words stay.

// What the person at the browser opened or pressed is theirs.
const THEIRS = ["open", "aria-busy"];

function sync(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !THEIRS.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (!THEIRS.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function alike(one, other) {
  if (one.nodeType !== other.nodeType || one.nodeName !== other.nodeName) return false;
  if (one.nodeType !== Node.ELEMENT_NODE) return true;
  return (one.dataset?.key ?? one.id) === (other.dataset?.key ?? other.id);
}

export function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  sync(old, fresh);
  if (old.tagName === "TEXTAREA" || old.tagName === "SELECT") return;
  const keyed = new Map();
  for (const child of old.children) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const known = next.dataset?.key && keyed.get(next.dataset.key);
    if (known && known !== at && alike(known, next)) old.insertBefore(known, at);
    const here = known && alike(known, next) ? known : at;
    if (here && alike(here, next)) {
      morph(here, next);
      at = here.nextSibling;
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

export default {
  template: `<component :is="tag"></component>`,
  props: { tag: String, parts: Object, order: Array },
  emits: ["do"],
  mounted() {
    this.known = new Map();
    this.given = this.parts;
    this.patch(this.parts, this.order);
    this.$el.addEventListener("click", this.clicked);
    this.$el.addEventListener("submit", this.submitted);
    this.$el.addEventListener("input", this.typed);
  },
  updated() {
    // Also called where another element of the page changed: then what was patched stays.
    if (this.parts === this.given) return;
    this.given = this.parts;
    this.patch(this.parts, this.order);
  },
  methods: {
    patch(changed, order) {
      const sticky = [this.$el, ...this.$el.querySelectorAll("[data-stick]")];
      const first = this.$el.childElementCount === 0;
      const stuck = sticky.filter((one) => one.dataset.stick !== undefined).filter(
        (one) => first || one.scrollHeight - one.scrollTop - one.clientHeight < 40,
      );
      for (const [key, html] of Object.entries(changed)) {
        const fresh = made(html);
        const old = this.known.get(key);
        if (old && old.nodeName === fresh.nodeName) morph(old, fresh);
        else {
          old?.remove();
          this.known.set(key, fresh);
        }
      }
      let at = this.$el.firstElementChild;
      for (const key of order) {
        const part = this.known.get(key);
        if (part !== at) this.$el.insertBefore(part, at);
        else at = at.nextElementSibling;
      }
      const kept = new Set(order);
      for (const [key, part] of this.known) {
        if (!kept.has(key)) {
          part.remove();
          this.known.delete(key);
        }
      }
      for (const one of stuck) one.scrollTop = one.scrollHeight;
      document.dispatchEvent(new CustomEvent("orchard:changed", { detail: this.$el }));
    },
    free() {
      for (const one of this.$el.querySelectorAll("[aria-busy]")) one.removeAttribute("aria-busy");
    },
    clicked(event) {
      const button = event.target.closest("button[data-do]");
      if (!button || button.form?.dataset.do !== undefined) return;
      this.send(button, { ...button.dataset });
    },
    submitted(event) {
      const form = event.target;
      if (form.dataset.do === undefined) return;
      event.preventDefault();
      const said = Object.fromEntries(new FormData(form, event.submitter));
      this.send(event.submitter ?? form, { ...form.dataset, ...said });
    },
    typed(event) {
      const field = event.target.closest("[data-typed]");
      if (!field) return;
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.$emit("do", { do: field.dataset.typed, text: field.value }), 120);
    },
    send(control, said) {
      if (control.getAttribute("aria-busy")) return;
      control.setAttribute("aria-busy", "true");
      setTimeout(() => control.removeAttribute("aria-busy"), 8000);
      this.$emit("do", said);
    },
  },
};
