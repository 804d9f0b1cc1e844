//! Encryption for a browser: RFC 8291 on the coding `aes128gcm` of RFC 8188.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};

use crate::signature::Secret;

/// Bytes of a public key, uncompressed.
pub(super) const PUBLIC_BYTES: usize = 65;
/// Bytes of the secret that both sides share from the start.
pub(super) const AUTH_BYTES: usize = 16;
/// Bytes of the whole message that a push service takes.
pub(super) const MESSAGE_BYTES_MAX: usize = 4096;
/// What the coding adds: salt, record size, length and value of the key, delimiter and tag.
const OVERHEAD: usize = 16 + 4 + 1 + PUBLIC_BYTES + 1 + 16;
/// Bytes of a text.
pub(super) const TEXT_BYTES_MAX: usize = MESSAGE_BYTES_MAX - OVERHEAD;

/// The keys of a browser's subscription.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) public: Vec<u8>,
    pub(super) auth: Vec<u8>,
}

/// Encrypts a text for a subscriber under a key and a salt that are used this once.
///
/// # Errors
/// If the subscriber's keys are none, or the text is too long.
pub(super) fn seal(
    to: &Subscriber,
    text: &[u8],
    own: &PrivateKey,
    salt: [u8; 16],
) -> Result<Vec<u8>, &'static str> {
    if to.public.len() != PUBLIC_BYTES || to.auth.len() != AUTH_BYTES {
        return Err("the keys of the subscription have another length");
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err("the text is too long");
    }
    let public = own.compute_public_key().map_err(|_| "the key is none")?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, &to.public);
    let bad = "the keys of the subscription are none";
    let shared = agree(own, peer, bad, |secret| Ok(Secret::new(&to.auth).sign(secret)))?;
    let info = [b"WebPush: info\0", to.public.as_slice(), public.as_ref(), &[1]].concat();
    let material = Secret::new(&shared).sign(&info);
    let derive = Secret::new(&Secret::new(&salt).sign(&material));
    let key = derive.sign(b"Content-Encoding: aes128gcm\0\x01");
    let nonce = derive.sign(b"Content-Encoding: nonce\0\x01");
    let key = key.get(..16).and_then(|key| UnboundKey::new(&AES_128_GCM, key).ok());
    let nonce = nonce.get(..12).and_then(|nonce| Nonce::try_assume_unique_for_key(nonce).ok());
    let (Some(key), Some(nonce)) = (key, nonce) else { return Err("no key could be derived") };
    // The last record ends with a 2.
    let mut sealed = [text, &[2]].concat();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .map_err(|_| "it could not be encrypted")?;
    let size = u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX).to_be_bytes();
    let length = [u8::try_from(PUBLIC_BYTES).unwrap_or(u8::MAX)];
    Ok([&salt[..], &size, &length, public.as_ref(), &sealed].concat())
}

#[cfg(test)]
mod tests {
    use super::super::jws::{coded, decoded};
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        decoded(text).expect("base64url")
    }

    fn subscriber() -> Subscriber {
        Subscriber {
            public: bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            auth: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        }
    }

    fn own() -> PrivateKey {
        let scalar = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        PrivateKey::from_private_key(&ECDH_P256, &scalar).expect("a key")
    }

    #[test]
    fn the_example_of_rfc_8291_comes_out_byte_for_byte() {
        let text = b"When I grow up, I want to be a watermelon";
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().expect("16 bytes");
        let sealed = seal(&subscriber(), text, &own(), salt).expect("sealed");
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml\
                        mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT\
                        pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(coded(&sealed), expected);
    }

    #[test]
    fn nonsense_is_refused_and_the_longest_text_fits_a_push_service() {
        let salt = [7; 16];
        let longest = seal(&subscriber(), &[0; TEXT_BYTES_MAX], &own(), salt).expect("sealed");
        assert_eq!(longest.len(), MESSAGE_BYTES_MAX);
        assert!(seal(&subscriber(), &[0; TEXT_BYTES_MAX + 1], &own(), salt).is_err());
        let bad = [
            Subscriber { public: vec![4; 65], ..subscriber() },
            Subscriber { public: vec![4; 64], ..subscriber() },
            Subscriber { auth: vec![0; 15], ..subscriber() },
        ];
        for to in bad {
            assert!(seal(&to, b"x", &own(), salt).is_err(), "{to:?}");
        }
    }
}
