// The playground's script: it draws what the server says and sends what people write, and decides nothing itself.
"use strict";

const page = JSON.parse(document.getElementById("page").textContent);
const words = page.words;
const phones = new Map(); // slot → what is on that screen
const narrow = matchMedia("(max-width: 700px)");
const $ = (selector, root = document) => root.querySelector(selector);

// Text only ever enters the page as text: `make` is the one way to add an element.
function make(tag, props = {}, ...children) {
  const { data = {}, aria = {}, ...rest } = props;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

const memory = {
  get(name) { try { return sessionStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { sessionStorage.setItem(name, value); } catch { /* a browser that keeps nothing */ } },
};

function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID(); // only there on https and on this machine
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// With `fields` it is a POST; a list goes as one part each.
async function ask(path, query = {}, fields = null) {
  const address = `/playground/${path}?${new URLSearchParams({ ...query, lang: page.language })}`;
  const body = fields && new FormData();
  for (const [name, value] of Object.entries(fields ?? {})) for (const one of [value].flat()) body.append(name, one);
  let answer;
  try {
    answer = await fetch(address, { method: fields ? "POST" : "GET", body, signal: AbortSignal.timeout(60000) });
  } catch {
    throw new Error(words.unreachable);
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(said.error || words.failed), { status: answer.status });
  return said;
}

// --- The screens -----------------------------------------------------------------------------------------------

async function loadPhones() {
  const { now, phones: seen } = await ask("phones");
  $("#now").value = now;
  seen.forEach((phone, index) => {
    if (!phones.has(phone.slot)) phones.set(phone.slot, build(phone, index + 1));
    update(phones.get(phone.slot), phone);
  });
  if (!$(".phone.active")) activate(memory.get("linli.active") || seen[0]?.slot);
}

function build(seen, number) {
  const element = $("#phone").content.firstElementChild.cloneNode(true);
  const phone = {
    slot: seen.slot, number, element, who: null, place: "", people: [], stick: true, wanted: 0, running: null,
    shown: new Map(), shownFor: null, waiting: [], files: [], answering: null, queue: Promise.resolve(),
    log: $(".log", element), list: $(".messages", element), select: $("select", element),
    input: $("textarea", element), picker: $("input[type=file]", element), tab: make("button", { type: "button" }, make("span", { className: "dot" }),
      make("span", { className: "label" }), make("span", { className: "unseen news" })),
  };
  element.dataset.slot = phone.tab.dataset.slot = seen.slot;
  element.id = `phone-${seen.slot}`;
  $(".number", element).textContent = number;
  $("h2", element).title = `Alt+${number}`;
  phone.tab.addEventListener("click", () => activate(phone.slot));
  wire(phone);
  $("#phones").append(element);
  $("#tabs").append(phone.tab);
  return phone;
}

function update(phone, seen) {
  $(".title", phone.element).textContent = $(".label", phone.tab).textContent = seen.title;
  phone.element.setAttribute("aria-label", seen.title);
  phone.log.setAttribute("aria-label", `${seen.title} · ${words.messages}`);
  phone.people = seen.people;
  phone.anyFile = seen.any_file;
  phone.wordsOnly = seen.words_only;
  phone.replies = seen.replies;
  phone.element.classList.toggle("any-file", seen.any_file);
  phone.picker.accept = seen.any_file ? "" : "image/*,audio/*,video/*,.amr,.3gp";
  const attach = $(".attach", phone.element);
  attach.title = seen.any_file ? words.attach_any : words.attach;
  attach.setAttribute("aria-label", attach.title);
  attach.hidden = seen.words_only;
  $(".chips", phone.element).hidden = seen.words_only;
  const page = $(".page", phone.element);
  page.hidden = !seen.page;
  if (seen.page) page.href = seen.page;
  const read = !seen.people.length;
  for (const part of [".composer", ".holder"]) $(part, phone.element).hidden = read;
  $(".reading", phone.element).hidden = !read;
  $(".empty", phone.element).textContent = read ? words.empty_board : words.empty;
  const options = seen.people.map((one) => [one.account, [one.name, one.note].filter(Boolean).join(" · ")]);
  if (phone.select.dataset.options !== JSON.stringify(options)) {
    phone.select.dataset.options = JSON.stringify(options);
    phone.select.replaceChildren(...options.map(([value, label]) => make("option", { value }, label)));
  }
  const before = phone.who;
  const wishes = [phone.who, memory.get(`linli.who.${phone.slot}`), seen.who, seen.people[0]?.account];
  const holder = seen.people.find((one) => one.account === wishes.find((wish) => seen.people.some((p) => p.account === wish)));
  phone.who = phone.select.value = holder?.account ?? "";
  phone.place = holder?.place ?? seen.place;
  if (before && before !== phone.who) refresh(phone); // whoever held it is gone
}

function activate(slot) {
  const phone = phones.get(slot) ?? phones.values().next().value;
  if (!phone) return;
  memory.set("linli.active", phone.slot);
  for (const other of phones.values()) {
    other.element.classList.toggle("active", other === phone);
    other.tab.setAttribute("aria-current", String(other === phone));
  }
  unread(phone, false);
}

function unread(phone, is) {
  phone.tab.classList.toggle("unread", is);
  $(".news", phone.tab).textContent = is ? `（${words.unread}）` : "";
}

// --- Messages --------------------------------------------------------------------------------------------------

// One fetch at a time for each screen; whatever changes meanwhile is fetched once more.
function refresh(phone) {
  phone.wanted += 1;
  phone.running ??= (async () => {
    try {
      for (let done = 0; done !== phone.wanted;) {
        done = phone.wanted;
        const who = phone.who;
        const { messages } = await ask("history", { slot: phone.slot, who });
        if (who === phone.who) show(phone, messages);
      }
    } catch (error) {
      if (error.status) note(phone, error.message); // otherwise the banner says it
    } finally {
      phone.running = null;
    }
  })();
  return phone.running;
}

function show(phone, messages) {
  const first = phone.shownFor !== phone.who;
  if (first) { phone.list.replaceChildren(); phone.shown.clear(); phone.shownFor = phone.who; phone.stick = true; }
  else if (phone.log.clientHeight) phone.stick = atEnd(phone.log);
  const focus = document.activeElement;
  const held = phone.list.contains(focus) ? { id: focus.closest("li").dataset.id, mark: focus.dataset.mark } : null;
  const ids = new Set(messages.map((message) => message.id));
  for (const [id, old] of phone.shown) if (!ids.has(id)) { old.element.remove(); phone.shown.delete(id); }
  let cursor = phone.list.firstElementChild, day = "", news = 0;
  for (const message of messages) {
    const newDay = message.day === day ? "" : message.day;
    day = message.day;
    const print = JSON.stringify([message, newDay]);
    const old = phone.shown.get(message.id);
    let element = old?.element;
    if (old?.print !== print) {
      element = draw(phone, message, newDay);
      if (old) old.element.replaceWith(element);
      else if (!first) { element.classList.add("new"); news += message.mine ? 0 : 1; }
      if (old && cursor === old.element) cursor = element;
      phone.shown.set(message.id, { element, print });
    }
    if (element === cursor) cursor = cursor.nextElementSibling;
    else phone.list.insertBefore(element, cursor);
  }
  if (held && !focus.isConnected) refocus(phone, held);
  const keys = new Set(messages.map((message) => message.key).filter(Boolean));
  const settled = (item) => item.done || keys.has(item.key);
  phone.waiting.filter(settled).forEach((item) => item.photos.forEach((photo) => URL.revokeObjectURL(photo)));
  phone.waiting = phone.waiting.filter((item) => !settled(item));
  showWaiting(phone);
  phone.log.setAttribute("aria-busy", "false");
  settle(phone, news, first);
}

// What changed under somebody's finger keeps their place: the same button, else the message.
function refocus(phone, held) {
  const element = phone.shown.get(held.id)?.element;
  const same = element && [...element.querySelectorAll("button")].find((button) => button.dataset.mark === held.mark);
  (same ?? element ?? phone.log).focus({ preventScroll: true });
}

const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 48;

function settle(phone, news, first) {
  if (phone.stick) phone.log.scrollTop = phone.log.scrollHeight;
  else if (news) $(".newest", phone.element).hidden = false;
  if (!news || first) return;
  phone.element.classList.remove("fresh");
  void phone.element.offsetWidth; // so that a second message starts the glow again
  phone.element.classList.add("fresh");
  if (narrow.matches && !phone.element.classList.contains("active")) unread(phone, true);
}

function draw(phone, message, day) {
  const item = make("li", { className: "message", tabIndex: -1, data: { id: message.id } });
  if (day) item.append(make("p", { className: "day" }, make("span", {}, day)));
  if (message.deleted) {
    item.append(make("p", { className: "gone" }, words.deleted));
    return item;
  }
  for (const name of ["mine", "urgent"]) item.classList.toggle(name, message[name]);
  if (message.sender && !message.mine) item.append(make("p", { className: "sender" }, message.sender));
  const bubble = make("div", { className: "bubble" });
  if (message.photos.length) bubble.append(photosOf(message.photos));
  for (const one of message.recordings) bubble.append(recordingOf(one));
  for (const one of message.documents) bubble.append(documentOf(one));
  for (const name of message.files) bubble.append(fileNamed(name));
  if (message.text) bubble.append(make("p", { className: "text" }, message.text));
  const reply = phone.replies && !message.mine && !message.sender && make("button",
    { type: "button", className: "reply", data: { mark: "reply", reply: message.id } }, words.reply);
  const marks = [message.pinned && `📌 ${words.pinned}`, message.urgent && words.urgent, message.silent && words.silent, message.edited && words.edited];
  bubble.append(make("p", { className: "meta" },
    ...marks.filter(Boolean).map((mark) => make("span", { className: mark === words.urgent ? "alarm" : "" }, mark)),
    ...(reply ? [reply] : []), make("time", {}, message.at)));
  item.append(bubble);
  if (message.buttons.length && phone.people.length) {
    item.append(make("div", { className: "buttons" }, ...message.buttons.map((button) => make("button",
      { type: "button", data: { mark: button.value, on: message.id } }, button.label))));
  }
  if (message.asks_number) {
    item.append(make("div", { className: "buttons" },
      make("button", { type: "button", className: "share", data: { mark: "number" } }, words.contact)));
  }
  return item;
}

// What the browser cannot play, such as WeChat's AMR, can be saved.
function recordingOf({ address, mime }) {
  const heard = mime.startsWith("audio/");
  const player = make(heard ? "audio" : "video", { className: "recording", controls: true, preload: heard ? "none" : "metadata", src: address,
    aria: { label: heard ? words.voice : words.video } });
  const save = make("a", { className: "save", href: `${address}&save=1`, download: "" }, words.save);
  save.hidden = Boolean(player.canPlayType(mime));
  player.addEventListener("error", () => { save.hidden = false; });
  return make("div", {}, player, save);
}

const documentOf = ({ address, name }) => make("p", { className: "file" }, make("a", { href: address, download: name }, `📎 ${name}`));
const fileNamed = (name) => make("p", { className: "file" }, `📎 ${name}`);

function photosOf(addresses) {
  return make("div", { className: "photos" }, ...addresses.map((src, index) => {
    const alt = `${words.photo} ${index + 1}/${addresses.length}`;
    return make("button", { type: "button", className: "photo", data: { mark: src } }, make("img", { src, alt }));
  }));
}

// --- Sending ---------------------------------------------------------------------------------------------------

function send(phone, { text = "", tap = "", on = "", label = "", contact = "", repliesTo = "", files = [] }) {
  const photos = files.filter(isPhoto).map((file) => URL.createObjectURL(file));
  const item = { key: newKey(), who: phone.who, text, tap, on, label, contact, repliesTo, files, photos };
  item.element = make("li", { className: tap ? "message tapped" : "message mine" });
  phone.waiting.push(item);
  phone.stick ||= !tap;
  return post(phone, item);
}

// Messages of one phone leave in the order in which they were written.
function post(phone, item) {
  item.error = "";
  paint(phone, item);
  showWaiting(phone);
  phone.queue = phone.queue.then(async () => {
    try {
      item.light ??= await Promise.all(item.files.map(light));
      if (item.light.length > page.mostPhotos) throw new Error(words.too_many);
      if (item.light.reduce((sum, file) => sum + file.size, 0) > page.bodyCap - 100000) throw new Error(words.too_large);
      const { who, key, text, tap: value, on, contact, repliesTo } = item;
      await ask("say", {}, { slot: phone.slot, who, key, text, tap: value, on, contact, replies_to: repliesTo, photos: item.light });
      item.done = true;
    } catch (error) {
      item.error = error.message;
      paint(phone, item);
      showWaiting(phone);
    }
  });
  return phone.queue.then(() => refresh(phone));
}

// The same key goes out again, so a message that did arrive the first time acts once.
function paint(phone, item) {
  const retry = make("button", { type: "button" }, words.retry);
  const drop = make("button", { type: "button" }, words.drop);
  retry.addEventListener("click", () => { post(phone, item); phone.input.focus(); });
  drop.addEventListener("click", () => {
    phone.waiting = phone.waiting.filter((other) => other !== item);
    showWaiting(phone);
    phone.input.focus();
  });
  const bubble = make("div", { className: "bubble" });
  if (item.photos.length) bubble.append(photosOf(item.photos));
  for (const file of item.files) if (!isPhoto(file)) bubble.append(fileNamed(file.name));
  if (item.text || item.label) bubble.append(make("p", { className: "text" }, item.text || item.label));
  bubble.append(make("p", { className: "meta" }, item.error ? words.unsent : words.sending));
  const trouble = make("div", { className: "error" }, make("p", { role: "alert" }, item.error), retry, drop);
  item.element.replaceChildren(...(item.tap && !item.error ? [] : [bubble]), ...(item.error ? [trouble] : []));
  item.element.classList.toggle("failed", Boolean(item.error));
}

function showWaiting(phone) {
  const seen = phone.waiting.filter((item) => item.who === phone.who).map((item) => item.element);
  const list = $(".waiting", phone.element);
  if (seen.length !== list.children.length || seen.some((element, index) => list.children[index] !== element)) {
    list.replaceChildren(...seen);
  }
  $(".empty", phone.element).hidden = Boolean(phone.shown.size || seen.length);
  if (phone.stick) phone.log.scrollTop = phone.log.scrollHeight;
}

function note(phone, sentence) {
  const item = make("div", { className: "error" }, make("p", { role: "alert" }, sentence));
  $(".waiting", phone.element).after(item);
  setTimeout(() => item.remove(), 12000);
  if (phone.stick) phone.log.scrollTop = phone.log.scrollHeight;
}

// A phone's camera makes 5 MB and more; a messenger sends a lighter copy. What cannot be drawn goes as it is.
async function light(file) {
  if (file.size < 1500000 || !isPhoto(file)) return file;
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, 2048 / Math.max(picture.width, picture.height));
    const canvas = make("canvas", { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.85); });
    return blob && blob.size < file.size ? new File([blob], file.name, { type: blob.type }) : file;
  } catch {
    return file;
  }
}

// --- Writing ---------------------------------------------------------------------------------------------------

const isPhoto = (file) => file.type.startsWith("image/");
const isRecording = (file) => /^(audio|video)\//.test(file.type) || /\.(amr|3gp)$/i.test(file.name);

function wire(phone) {
  const { element, input, log, picker } = phone;
  const chooseFiles = (files) => {
    if (phone.wordsOnly) return;
    phone.files.push(...[...files].filter((file) => phone.anyFile || isPhoto(file) || isRecording(file)));
    showDrafts(phone);
    input.focus();
  };
  const submit = () => {
    const text = input.value.trim();
    if (!text && !phone.files.length) return;
    send(phone, { text, repliesTo: phone.answering ?? "", files: phone.files.splice(0) });
    input.value = "";
    answer(phone, null);
    showDrafts(phone);
    input.focus();
  };
  $("form", element).addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) answer(phone, null);
    // While Chinese is being composed, Enter picks the word: it must not send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  input.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    chooseFiles(event.clipboardData.files);
  });
  $(".attach", element).addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => { chooseFiles(picker.files); picker.value = ""; });
  element.addEventListener("dragover", (event) => { event.preventDefault(); });
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    if (phone.people.length) chooseFiles(event.dataTransfer.files);
  });
  $(".chips", element).addEventListener("click", ({ target }) => { if (target.dataset.text) send(phone, { text: target.dataset.text }); });
  phone.list.addEventListener("click", ({ target }) => {
    if (target.dataset.on) tap(phone, target);
    if (target.classList.contains("share")) askNumber(phone);
    if (target.dataset.reply) answer(phone, target.dataset.reply);
  });
  phone.select.addEventListener("change", () => {
    phone.who = phone.select.value;
    phone.place = phone.people.find((one) => one.account === phone.who).place;
    memory.set(`linli.who.${phone.slot}`, phone.who);
    answer(phone, null);
    showWaiting(phone);
    refresh(phone);
  });
  $(".answering button", element).addEventListener("click", () => { answer(phone, null); input.focus(); });
  log.addEventListener("scroll", () => {
    phone.stick = atEnd(log);
    if (phone.stick) $(".newest", element).hidden = true;
  }, { passive: true });
  $(".newest", element).addEventListener("click", () => { log.scrollTop = log.scrollHeight; log.focus(); });
  new ResizeObserver(() => { if (phone.stick) log.scrollTop = log.scrollHeight; }).observe(log);
}

// What is written next is a reply to this message; to none any more.
function answer(phone, id) {
  phone.answering = id;
  const bar = $(".answering", phone.element);
  bar.hidden = !id;
  if (!id) return;
  $("span", bar).textContent = words.replying + ($(".text", phone.shown.get(id).element)?.textContent ?? words.photo);
  phone.input.focus();
}

async function tap(phone, button) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  await send(phone, { tap: button.dataset.mark, on: button.dataset.on, label: button.textContent });
  button.removeAttribute("aria-busy");
}

// A phone of the playground has no number, so its holder says which one it is to share.
const number = $("#number");
let asked = null;

function askNumber(phone) {
  asked = phone;
  $(".error", number).hidden = true;
  $("input", number).value = "";
  number.showModal();
}

$("form", number).addEventListener("submit", (event) => {
  event.preventDefault();
  const contact = $("input", number).value.normalize("NFKC").trim();
  const good = /^\+?[\d\s().-]{5,24}$/.test(contact);
  $(".error", number).hidden = good;
  if (!good) { $("input", number).focus(); return; }
  number.close();
  send(asked, { contact, label: "📱" });
  asked.input.focus();
});

function showDrafts(phone) {
  const drafts = $(".drafts", phone.element);
  drafts.hidden = !phone.files.length;
  drafts.replaceChildren(...phone.files.map((file) => {
    const remove = make("button", { type: "button", title: words.remove, aria: { label: words.remove } }, "×");
    remove.addEventListener("click", () => {
      phone.files = phone.files.filter((other) => other !== file);
      showDrafts(phone);
      phone.input.focus();
    });
    if (!isPhoto(file)) return make("span", { className: "draft" }, fileNamed(file.name), remove);
    const src = URL.createObjectURL(file);
    return make("span", { className: "draft" }, make("img", { src, alt: file.name, onload: () => URL.revokeObjectURL(src) }), remove);
  }));
}

// --- The whole page --------------------------------------------------------------------------------------------

function banner(sentence) {
  $("#banner").textContent = sentence;
  $("#banner").hidden = !sentence;
}

async function reload() {
  try {
    await loadPhones();
    await Promise.all([...phones.values()].map(refresh));
  } catch (error) {
    banner(error.status ? error.message : words.away);
  }
}

let peopleSoon = 0;
function connect() {
  const source = new EventSource("/playground/events");
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  on("hello", () => { banner(""); reload(); });
  on("now", (now) => { $("#now").value = now; });
  on("places", (places) => {
    if (!places.length) { for (const phone of phones.values()) phone.shownFor = null; reload(); return; }
    for (const phone of phones.values()) if (places.includes(phone.place)) refresh(phone);
    clearTimeout(peopleSoon); // somebody may have logged in: their line in the list changes
    peopleSoon = setTimeout(() => loadPhones().catch(() => {}), 800);
  });
  source.onerror = () => {
    banner(words.away);
    // A refusal ends the source for good, so begin a new one.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
}

function jump(phone) {
  activate(phone.slot);
  (phone.people.length ? phone.input : phone.log).focus();
  phone.element.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  const digit = event.altKey && !event.ctrlKey && !event.metaKey && /^Digit([1-5])$/.exec(event.code);
  const phone = digit && [...phones.values()][digit[1] - 1];
  if (phone) { event.preventDefault(); jump(phone); }
});

document.addEventListener("click", async ({ target }) => {
  const photo = target.closest(".photo");
  if (photo) { $("#viewer img").src = $("img", photo).src; $("#viewer").showModal(); }
  if (target.matches("[data-close], #viewer")) target.closest("dialog").close();
  if (target.dataset.seconds) {
    try {
      $("#now").value = (await ask("clock", {}, { seconds: target.dataset.seconds })).now;
      banner("");
    } catch (error) { banner(error.message); }
  }
});

$(".suggest").addEventListener("click", ({ target }) => {
  const owner = phones.get("owner");
  if (!owner || !target.dataset.text) return;
  if (narrow.matches) { activate("owner"); openTools(false); }
  send(owner, { text: target.dataset.text });
});

function openTools(open) {
  $("#tools").classList.toggle("open", open);
  $("#tools-button").setAttribute("aria-expanded", String(open));
}
$("#tools-button").addEventListener("click", () => openTools(!$("#tools").classList.contains("open")));
$("#reset").addEventListener("click", () => $("#sure").showModal());
$("#reset-yes").addEventListener("click", async () => {
  $("#sure").close();
  try { await ask("reset", {}, {}); await reload(); } catch (error) { banner(error.message); }
});

reload();
connect();
