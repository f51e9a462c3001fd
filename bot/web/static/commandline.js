// The line at the foot of the guild: words and slash commands, completed from a list. And the times above it,
// which are sent in UTC, by the browser's own clock.
const WAYS = {
  clock: { timeStyle: "short" },
  day: { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" },
};
const clocks = (within) => {
  for (const one of within.querySelectorAll("time[data-at]")) {
    const at = new Date(one.dateTime);
    const text = at.toLocaleString([], WAYS[one.dataset.at]);
    if (one.textContent !== text) Object.assign(one, { textContent: text, title: at.toLocaleString() });
  }
};
const shown = (event) => clocks(event.detail);

export default {
  template: `
<form class="line" @submit.prevent="send">
  <ul v-if="open" class="offers" role="listbox" :id="id" aria-label="What could come next">
    <li v-for="(one, i) in offers" :key="one.label" role="option" :id="id + i" :aria-selected="i === at"
        @mousedown.prevent="take(i)"><b>{{ one.label }}</b><span>{{ one.detail }}</span></li>
  </ul>
  <p v-if="about && stamp === text" class="usage"><b>{{ about }}</b><code>{{ usage }}</code></p>
  <p v-if="problem" class="trouble" role="alert">{{ problem }}</p>
  <div class="field">
    <input ref="field" v-model="text" role="combobox" :aria-expanded="String(open)" :aria-controls="id" aria-autocomplete="list"
      :aria-activedescendant="open && at >= 0 ? id + at : null" :aria-label="place" :placeholder="place" maxlength="6000"
      autocomplete="off" autocapitalize="none" autocorrect="off" spellcheck="false" enterkeyhint="send"
      @input="changed" @keydown="key" @blur="shut = true" @focus="shut = false">
    <button class="ghost slash" type="button" aria-label="All commands" @mousedown.prevent="slash">/</button>
    <button class="first" :disabled="busy || !text.trim()" aria-label="Send">➤</button>
  </div>
</form>`,
  props: { words: String },
  emits: ["typed", "run"],
  data: () => ({ text: "", at: -1, shut: false, busy: false, problem: "", sent: [], back: 0, id: "", place: "",
    offers: [], stamp: "", usage: "", about: "", eager: false }),
  computed: {
    open() {
      return !this.shut && this.offers.length > 0 && this.stamp === this.text;
    },
  },
  created() {
    this.place = this.words;
    this.id = `offers-${Math.random().toString(36).slice(2)}`;
  },
  mounted() {
    clocks(document);
    document.addEventListener("orchard:changed", shown);
  },
  unmounted() {
    document.removeEventListener("orchard:changed", shown);
  },
  methods: {
    changed() {
      this.problem = "";
      this.shut = false;
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.$emit("typed", this.text), this.text.startsWith("/") ? 60 : 400);
    },
    say(text) {
      this.text = text;
      this.shut = false;
      this.problem = "";
      clearTimeout(this.waiting);
      this.$emit("typed", text);
      this.$refs.field.focus();
    },
    slash() {
      this.say(this.text.startsWith("/") ? this.text : "/");
    },
    take(i) {
      this.say(this.offers[i].line);
    },
    key(event) {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && this.open) {
        event.preventDefault();
        const count = this.offers.length;
        this.at = this.at < 0 ? (step > 0 ? 0 : count - 1) : (this.at + step + count) % count;
        this.$nextTick(() => document.getElementById(this.id + this.at)?.scrollIntoView({ block: "nearest" }));
      } else if (step && this.sent.length && (!this.text || this.back)) {
        event.preventDefault();
        this.back = Math.max(0, Math.min(this.sent.length, this.back - step));
        this.text = this.back ? this.sent[this.sent.length - this.back] : "";
      } else if (event.key === "Tab" && !event.shiftKey && this.open) {
        event.preventDefault();
        this.take(Math.max(0, this.at));
      } else if (event.key === "Enter" && this.open && this.at >= 0) {
        event.preventDefault();
        this.take(this.at);
      } else if (event.key === "Escape" && this.open) {
        event.stopPropagation();
        this.shut = true;
      }
    },
    send() {
      if (this.busy || !this.text.trim()) return;
      this.busy = true;
      this.problem = "";
      clearTimeout(this.waiting);
      this.gone = setTimeout(() => (this.busy = false), 8000);
      this.running = this.text;
      this.$emit("run", this.text);
    },
    // For a line that was typed; where another stands by now it is not shown.
    offer(told) {
      Object.assign(this, told);
      this.at = this.eager ? 0 : -1;
    },
    name(place) {
      this.place = place;
    },
    // What came of it: nothing, or a sentence; then the words stay.
    ran(problem) {
      clearTimeout(this.gone);
      this.busy = false;
      this.problem = problem;
      if (problem) return;
      this.sent = [...this.sent.slice(-30), this.running];
      this.back = 0;
      if (this.text === this.running) this.text = ""; // else somebody went on typing
    },
  },
};
