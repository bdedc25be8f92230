//! Files of test vectors: JSON under `tests/vectors` that is recomputed from its own inputs.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error};

/// Set to write the files instead of checking them.
const WRITE: &str = "MIXNET_WRITE_VECTORS";

/// Bytes that stand in a file as lower-case hexadecimal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hex(pub Vec<u8>);

impl Hex {
    pub(crate) fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().to_vec())
    }

    /// # Panics
    /// If these are not `N` bytes.
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().expect("a vector's field has its length")
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        data_encoding::HEXLOWER.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// Checks that the file `name` is, byte for byte, what `recompute` makes of its own inputs; with
/// `MIXNET_WRITE_VECTORS=1` writes `fresh` to it instead.
///
/// # Panics
/// If the file differs, at its first differing line.
pub(crate) fn check<T, F>(name: &str, fresh: impl FnOnce() -> T, recompute: F)
where
    T: DeserializeOwned + Serialize,
    F: FnOnce(T) -> T,
{
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let write = |vectors: &T| serde_json::to_string_pretty(vectors).expect("vectors are plain data") + "\n";
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, write(&fresh())).expect("the vectors' directory is writable");
    }
    let found = std::fs::read_to_string(&path).expect("the file of vectors is there; MIXNET_WRITE_VECTORS=1 makes it");
    let wanted = write(&recompute(serde_json::from_str(&found).expect("the file holds vectors of this shape")));
    for (number, (found, wanted)) in found.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(found, wanted, "{name}, line {}", number + 1);
    }
    assert!(found == wanted, "{name} has another length");
}
