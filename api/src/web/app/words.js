// What the page says, in Indonesian and in English.

const WORDS = {
  id: {
    skip: "Langsung ke pertanyaan",
    conversations: "Percakapan",
    new: "Percakapan baru",
    settings: "Pengaturan",
    language: "Bahasa",
    speak: "Bacakan jawaban",
    speed: "Kecepatan suara",
    volume: "Volume",
    search: "Cari percakapan",
    noConversations: "Belum ada percakapan.",
    welcome: "Apa yang ingin Anda ketahui?",
    welcomeText: "Tulis atau ucapkan pertanyaan. Setiap jawaban menyebutkan sumbernya.",
    question: "Tulis pertanyaan",
    level: "Kekerasan suara",
    discard: "Batal",
    handsFree: "Bicara tanpa tombol",
    microphone: "Bicara: ketuk, atau tahan selama berbicara",
    send: "Kirim",
    stop: "Hentikan jawaban",
    recording: "Merekam. Ketuk lagi untuk mengirim.",
    listening: "Silakan bicara …",
    hearing: "Mendengarkan …",
    nothingHeard: "Tidak ada suara yang terdengar.",
    noMicrophone: "Mikrofon tidak dapat dipakai. Izinkan mikrofon untuk halaman ini.",
    stt: "Didengar",
    emotion: "Perasaan",
    found: "Ditemukan",
    rag: "Ditulis",
    tts: "Diucapkan",
    firstSound: "Suara pertama",
    seconds: (/** @type {number} */ n) => `${n < 0.1 ? "< 0,1" : n.toLocaleString("id", { maximumFractionDigits: 1 })} d`,
    retrying: "Dicoba lagi",
    queued: "Menunggu giliran …",
    thinking: "Mencari jawaban …",
    source: (/** @type {string} */ title) => `Sumber: ${title}`,
    open: "Buka sumber",
    copy: "Salin",
    copied: "Tersalin.",
    again: "Ubah dan tanyakan lagi",
    replay: "Dengarkan",
    good: "Jawaban ini membantu",
    bad: "Jawaban ini tidak membantu",
    comment: "Apa yang kurang?",
    thanks: "Terima kasih atas penilaian Anda.",
    cancelled: "Dihentikan.",
    expired: "Waktunya habis. Coba tanyakan lagi.",
    failed: "Jawaban gagal dibuat.",
    erased: "Sudah dihapus.",
    lost: "Sambungan terputus. Menyambung lagi …",
    back: "Tersambung lagi.",
    offline: "Anda sedang luring.",
    tooMany: (/** @type {number} */ n) => `Terlalu banyak permintaan. Coba lagi dalam ${n} detik.`,
    gone: "Percakapan ini tidak disimpan lagi di server.",
    delete: (/** @type {string} */ title) => `Hapus percakapan “${title}”`,
    deleteSure: "Hapus percakapan ini, juga dari server?",
    rename: (/** @type {string} */ title) => `Ganti nama “${title}”`,
    name: "Nama percakapan",
    spoken: "Pertanyaan lisan",
    dropped: "Lepaskan rekaman di sini",
    tooLarge: "Rekaman itu terlalu besar.",
  },
  en: {
    skip: "Skip to the question",
    conversations: "Conversations",
    new: "New conversation",
    settings: "Settings",
    language: "Language",
    speak: "Read answers aloud",
    speed: "Speed of speech",
    volume: "Volume",
    search: "Search conversations",
    noConversations: "No conversations yet.",
    welcome: "What would you like to know?",
    welcomeText: "Write your question or say it. Every answer names its sources.",
    question: "Write a question",
    level: "Loudness",
    discard: "Discard",
    handsFree: "Talk without buttons",
    microphone: "Speak: tap, or hold while you speak",
    send: "Send",
    stop: "Stop the answer",
    recording: "Recording. Tap again to send.",
    listening: "Go ahead …",
    hearing: "Listening …",
    nothingHeard: "No voice was heard.",
    noMicrophone: "The microphone cannot be used. Allow it for this page.",
    stt: "Heard",
    emotion: "Feeling",
    found: "Found",
    rag: "Written",
    tts: "Spoken",
    firstSound: "First sound",
    seconds: (/** @type {number} */ n) => `${n < 0.1 ? "< 0.1" : n.toLocaleString("en", { maximumFractionDigits: 1 })} s`,
    retrying: "Trying again",
    queued: "Waiting in line …",
    thinking: "Looking for an answer …",
    source: (/** @type {string} */ title) => `Source: ${title}`,
    open: "Open the source",
    copy: "Copy",
    copied: "Copied.",
    again: "Edit and ask again",
    replay: "Listen",
    good: "This answer helps",
    bad: "This answer does not help",
    comment: "What is missing?",
    thanks: "Thank you for telling us.",
    cancelled: "Stopped.",
    expired: "It took too long. Please ask again.",
    failed: "The answer could not be made.",
    erased: "Deleted.",
    lost: "The connection was lost. Connecting again …",
    back: "Connected again.",
    offline: "You are offline.",
    tooMany: (/** @type {number} */ n) => `Too many requests. Try again in ${n} seconds.`,
    gone: "The server keeps this conversation no longer.",
    delete: (/** @type {string} */ title) => `Delete the conversation “${title}”`,
    deleteSure: "Delete this conversation, from the server too?",
    rename: (/** @type {string} */ title) => `Rename “${title}”`,
    name: "Name of the conversation",
    spoken: "Spoken question",
    dropped: "Drop the recording here",
    tooLarge: "That recording is too large.",
  },
};

/** @typedef {keyof typeof WORDS.id} Word */

/** @type {"id" | "en"} */
let language = localStorage.getItem("language") === "en" ? "en" : "id";

/**
 * The text of `word`; of some, with what it speaks of.
 * @param {Word} word
 * @param {any} [about]
 * @returns {string}
 */
export function say(word, about) {
  const text = WORDS[language][word];
  return typeof text === "function" ? text(/** @type {never} */ (about)) : text;
}

export function spokenLanguage() {
  return language;
}

/** @param {string} chosen */
export function speakIn(chosen) {
  language = chosen === "en" ? "en" : "id";
  localStorage.setItem("language", language);
  translate();
}

/** Puts the words into the elements that name one. */
export function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-say],[data-label],[data-placeholder]")) {
    const { say: text, label, placeholder } = /** @type {HTMLElement} */ (element).dataset;
    if (text) element.textContent = say(/** @type {Word} */ (text));
    if (label) {
      element.setAttribute("aria-label", say(/** @type {Word} */ (label)));
      element.setAttribute("title", say(/** @type {Word} */ (label)));
    }
    if (placeholder) element.setAttribute("placeholder", say(/** @type {Word} */ (placeholder)));
  }
}
