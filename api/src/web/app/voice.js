// Speaking to the assistant: by a tap, while a button is held, or hands-free.

import { Gate, QUIET, loudness } from "./gate.js";
import { Microphone, wavOf } from "./microphone.js";

/** Seconds in which the first word is to come, hands-free. */
const FIRST_WORD = 10;
/** Seconds before speech was told apart that belong to it. */
const BEFORE = 0.5;
/** Seconds of speech that stop an answer which sounds: less may be its echo, or a cough. */
const INTERRUPTS = 0.4;
/** Seconds that a recording lasts at most. */
const LONGEST = 120;

/**
 * @typedef {"off" | "recording" | "listening" | "hearing" | "waiting"} State
 * `recording` by hand; hands-free `listening` for the first word, `hearing` speech, `waiting` for the answer
 */

export class Voice {
  /**
   * @param {object} does
   * @param {(recording: Blob, ended: number) => void} does.send with the moment at which speech ended
   * @param {(state: State) => void} does.show
   * @param {(level: number, seconds: number) => void} does.measure
   * @param {() => void} does.interrupt
   * @param {() => void} does.nothing was heard
   * @param {() => boolean} does.isSounding an answer
   */
  constructor(does) {
    this.does = does;
    /** @type {State} */
    this.state = "off";
    this.microphone = new Microphone((piece, rate) => this.hear(piece, rate));
    /** @type {Float32Array[]} */
    this.pieces = [];
    /** @type {Gate | null} */
    this.gate = null;
    this.rate = 48000;
    this.isHandsFree = false;
    /** What is to begin once the microphone is open. */
    this.isWanted = false;
    this.heard = 0;
    this.onset = 0;
    this.voiced = 0;
    this.isLoud = false;
  }

  /** @param {State} state */
  enter(state) {
    this.state = state;
    this.heard = 0;
    this.onset = 0;
    this.voiced = 0;
    this.isLoud = false;
    this.gate?.reset();
    this.does.show(state);
  }

  /** Begins a recording that is ended by hand. */
  async record() {
    this.isWanted = true;
    await this.microphone.open();
    if (!this.isWanted) {
      // Let go before it was open.
      if (this.state === "off") this.microphone.close();
      return;
    }
    this.isHandsFree = false;
    this.pieces = [];
    this.enter("recording");
  }

  /** Ends the recording, and sends it unless nothing is in it. */
  async finish() {
    this.isWanted = false;
    if (this.state !== "recording") return;
    const { pieces, isLoud } = this;
    this.close();
    if (!isLoud) return this.does.nothing();
    this.does.send(await wavOf(pieces, this.rate), performance.now());
  }

  /** Listens, sends what is said, and listens again after each answer. */
  async beginHandsFree() {
    await this.microphone.open();
    this.isHandsFree = true;
    this.listen();
  }

  listen() {
    this.pieces = [];
    this.enter("listening");
  }

  /** The answer is there, and has been heard. */
  answered() {
    if (this.isHandsFree && this.state === "waiting") this.listen();
  }

  close() {
    this.isHandsFree = false;
    this.isWanted = false;
    this.microphone.close();
    this.pieces = [];
    this.gate = null;
    this.enter("off");
  }

  /**
   * @param {Float32Array} piece
   * @param {number} rate
   */
  hear(piece, rate) {
    if (this.state === "off") return;
    this.rate = rate;
    this.gate ??= new Gate(rate);
    const seconds = piece.length / rate;
    const level = loudness(piece);
    this.heard += seconds;
    this.pieces.push(piece);
    this.does.measure(Math.min(1, level * 6), this.heard);
    if (this.state === "recording") {
      this.isLoud ||= level > QUIET;
      if (this.heard > LONGEST) void this.finish();
      return;
    }
    const found = this.gate.hear(piece);
    if (this.state === "hearing") {
      if (found === "end" || this.heard > LONGEST) void this.send();
      return;
    }
    this.await(found, seconds);
  }

  /**
   * Waits for the first word: of a question, or into an answer.
   * @param {ReturnType<Gate["hear"]>} found
   * @param {number} seconds
   */
  await(found, seconds) {
    const isSounding = this.does.isSounding();
    this.onset = found === "silence" || found === "end" ? 0 : this.onset + seconds;
    if (found === "silence" || found === "end") this.voiced = 0;
    else if (!this.gate?.silence) this.voiced += seconds;
    if (isSounding ? this.voiced > INTERRUPTS : found === "speech") {
      if (isSounding || this.state === "waiting") this.does.interrupt();
      this.state = "hearing";
      this.heard = 0;
      this.does.show("hearing");
      return;
    }
    if (isSounding) this.heard = 0;
    if (this.state === "listening" && this.heard > FIRST_WORD && found === "silence") {
      this.close();
      this.does.nothing();
      return;
    }
    const kept = Math.round((BEFORE + this.onset) / seconds);
    if (this.pieces.length > kept) this.pieces.splice(0, this.pieces.length - kept);
  }

  async send() {
    const pieces = this.pieces;
    this.pieces = [];
    const ended = performance.now() - (this.gate?.pause ?? 0) * 1000;
    this.enter("waiting");
    this.does.send(await wavOf(pieces, this.rate), ended);
  }
}
