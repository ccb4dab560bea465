// Tells speech from silence and noise, piece by piece of some 20 ms: loud enough above what the room sounds like, and with
// the pitch of a voice in it.

/** Loudness (root mean square, 1 is full scale) below which nothing is speech. */
export const QUIET = 0.004;
/** How much louder than the room speech is. */
const ABOVE_ROOM = 2.5;
/** Pieces with a pitch, until it is speech and no click. */
const VOICED = 6;

/** Pitches of voices, in Hz. */
const PITCH = { lowest: 70, highest: 400 };
/** How much a piece is like itself one period later; 1 is the same. */
const PERIODIC = 0.55;
const UNLIKE = 0.3;

export class Gate {
  /**
   * @param {number} rate samples per second
   * @param {number} pause seconds of silence that end an utterance
   */
  constructor(rate, pause = 0.9) {
    this.rate = rate;
    this.pause = pause;
    this.room = 0.01;
    /** @type {Float32Array} */
    this.before = new Float32Array(0);
    this.voiced = 0;
    this.gap = 0;
    this.silence = 0;
    this.isSpeech = false;
  }

  reset() {
    this.voiced = 0;
    this.gap = 0;
    this.silence = 0;
    this.isSpeech = false;
  }

  /**
   * @param {Float32Array} piece
   * @returns {"silence" | "maybe" | "speech" | "end"} `end` once, when an utterance is over
   */
  hear(piece) {
    const seconds = piece.length / this.rate;
    const level = loudness(piece);
    // Two pieces hold two periods of the lowest voice.
    const both = new Float32Array(this.before.length + piece.length);
    both.set(this.before);
    both.set(piece, this.before.length);
    this.before = piece;
    const isLoud = level > Math.max(QUIET, this.room * ABOVE_ROOM);
    const hasPitch = isLoud && isPeriodic(both, this.rate);
    if (!hasPitch) {
      // The room is what sounds when nobody speaks: quickly learned when it becomes quieter, slowly when louder.
      const towards = level < this.room ? 0.2 : this.isSpeech ? 0 : 0.03;
      this.room += (level - this.room) * towards;
    }
    if (hasPitch) {
      this.voiced++;
      this.gap = 0;
    } else if (!this.isSpeech && ++this.gap > 8) {
      this.voiced = 0;
    }
    // A noise that begins meanwhile is silence too.
    this.silence = hasPitch ? 0 : this.silence + seconds;
    this.isSpeech ||= this.voiced >= VOICED;
    if (this.isSpeech && this.silence >= this.pause) {
      this.reset();
      return "end";
    }
    return this.isSpeech ? "speech" : this.voiced ? "maybe" : "silence";
  }
}

/** @param {Float32Array} piece */
export function loudness(piece) {
  let sum = 0;
  for (const sample of piece) sum += sample * sample;
  return Math.sqrt(sum / Math.max(1, piece.length));
}

/**
 * Whether it repeats itself at the pitch of a voice: is alike one period later, and not before (a hum is alike all the time).
 * @param {Float32Array} samples
 * @param {number} rate
 */
function isPeriodic(samples, rate) {
  // A pitch needs no more than some 4,000 samples a second.
  const skip = Math.max(1, Math.floor(rate / 4000));
  const few = new Float32Array(Math.floor(samples.length / skip));
  for (let i = 0; i < few.length; i++) {
    let sum = 0;
    for (let j = 0; j < skip; j++) sum += samples[i * skip + j];
    few[i] = sum / skip;
  }
  const thin = rate / skip;
  const [shortest, longest] = [Math.floor(thin / PITCH.highest), Math.ceil(thin / PITCH.lowest)];
  let wasUnlike = false;
  for (let lag = 1; lag <= longest && lag < few.length / 1.5; lag++) {
    const alike = likeness(few, lag);
    wasUnlike ||= alike < UNLIKE;
    if (wasUnlike && lag >= shortest && alike > PERIODIC) return true;
  }
  return false;
}

/**
 * From -1 to 1, how much they are like themselves `lag` samples later.
 * @param {Float32Array} samples
 * @param {number} lag
 */
function likeness(samples, lag) {
  let [product, first, second] = [0, 1e-9, 1e-9];
  for (let i = 0; i + lag < samples.length; i++) {
    product += samples[i] * samples[i + lag];
    first += samples[i] * samples[i];
    second += samples[i + lag] * samples[i + lag];
  }
  return product / Math.sqrt(first * second);
}
