//! The ports over the engines that need no key and no server.

mod answers;
mod emotion;
mod hearing;
mod speaking;

pub use answers::LocalAnswerer;
pub use emotion::LocalEmotion;
pub use hearing::LocalSpeechToText;
pub use speaking::LocalSpeech;
