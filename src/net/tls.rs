//! TLS 1.3 with Ed25519 raw public keys (RFC 7250) on both sides; a peer is its 32-byte key and nothing else.

use std::{fmt, sync::Arc};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, NamedGroup, SignatureScheme,
    client::{AlwaysResolvesClientRawPublicKeys, Resumption, danger::*},
    crypto::{
        CryptoProvider, SupportedKxGroup,
        aws_lc_rs::{self, cipher_suite, kx_group},
    },
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, danger::*},
    sign::CertifiedKey,
    version::TLS13,
};

use super::{Admit, NetError};
use crate::{
    crypto::{Identity, IdentityKey, Signature},
    wire::VERSION,
};

/// An endpoint's own key, ready for TLS.
#[derive(Clone)]
pub(super) struct Credentials(Arc<CertifiedKey>);

/// Key exchange groups and application protocols, in order of preference.
pub(super) struct Offer {
    pub(super) groups: Vec<&'static dyn SupportedKxGroup>,
    pub(super) protocols: Vec<Vec<u8>>,
}

impl Offer {
    /// What every dialler tries first, and a mix alone.
    pub(super) fn post_quantum() -> Self {
        Self { groups: vec![kx_group::X25519MLKEM768], protocols: vec![protocol_pq()] }
    }

    /// What a client falls back to. Whoever forges the failure that leads here gains nothing: the hybrid group still
    /// comes first and the transcript protects the choice; the connection is merely reported as not post-quantum.
    pub(super) fn fallback() -> Self {
        Self { groups: vec![kx_group::X25519MLKEM768, kx_group::X25519], protocols: vec![protocol()] }
    }

    /// What an endpoint accepts.
    pub(super) fn accepted() -> Self {
        Self { groups: vec![kx_group::X25519MLKEM768, kx_group::X25519], protocols: vec![protocol_pq(), protocol()] }
    }
}

/// The application protocol's name carries the version.
pub(super) fn protocol() -> Vec<u8> {
    format!("mixnet/{VERSION}").into_bytes()
}

/// Offered only together with X25519MLKEM768 alone. quinn does not tell which group was negotiated; this does, to both
/// ends, since [`OwnKey`] refuses a dialler that offers this name together with any other group.
pub(super) fn protocol_pq() -> Vec<u8> {
    format!("mixnet/{VERSION}-pq").into_bytes()
}

impl Credentials {
    pub(super) fn new(key: &IdentityKey) -> Result<Self, NetError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.expose_pkcs8().to_vec()));
        let signer = aws_lc_rs::default_provider().key_provider.load_private_key(der).map_err(NetError::Key)?;
        Ok(Self(Arc::new(CertifiedKey::new(vec![key_info(&key.identity())], signer))))
    }

    /// The public key of another over our own private one.
    #[cfg(test)]
    pub(super) fn posing_as(key: &IdentityKey, other: &Identity) -> Self {
        let own = Self::new(key).expect("a good key");
        Self(Arc::new(CertifiedKey::new(vec![key_info(other)], own.0.key.clone())))
    }

    pub(super) fn server(&self, admit: Admit, offer: Offer) -> Arc<QuicServerConfig> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider(offer.groups))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has TLS 1.3")
            .with_client_cert_verifier(Arc::new(Admitted(admit)))
            .with_cert_resolver(Arc::new(OwnKey(self.0.clone())));
        config.alpn_protocols = offer.protocols;
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Arc::new(config.try_into().expect("the provider has the suite of QUIC's first packets"))
    }

    pub(super) fn client(&self, expected: Identity, offer: Offer) -> Arc<QuicClientConfig> {
        let mut config = rustls::ClientConfig::builder_with_provider(provider(offer.groups))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Expected(expected)))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(self.0.clone())));
        config.alpn_protocols = offer.protocols;
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.enable_sni = false;
        Arc::new(config.try_into().expect("the provider has the suite of QUIC's first packets"))
    }
}

/// The DER of SubjectPublicKeyInfo with id-Ed25519 (RFC 8410, section 4), in front of the key's 32 bytes.
const KEY_INFO_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn key_info(identity: &Identity) -> CertificateDer<'static> {
    CertificateDer::from([KEY_INFO_PREFIX.as_slice(), &identity.0].concat())
}

/// The identity in a raw public key: exactly the 44 bytes of an Ed25519 SubjectPublicKeyInfo.
pub(super) fn identity(key_info: &[u8]) -> Option<Identity> {
    let key = key_info.strip_prefix(KEY_INFO_PREFIX.as_slice())?;
    Some(Identity(key.try_into().ok()?))
}

fn provider(groups: Vec<&'static dyn SupportedKxGroup>) -> Arc<CryptoProvider> {
    let mut suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    if !has_aes() {
        suites.reverse();
    }
    Arc::new(CryptoProvider { cipher_suites: suites, kx_groups: groups, ..aws_lc_rs::default_provider() })
}

/// Whether the CPU has AES instructions: without them ChaCha20 is faster and has constant time.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// The server's own key, for diallers whose protocol name is true.
#[derive(Debug)]
struct OwnKey(Arc<CertifiedKey>);

impl ResolvesServerCert for OwnKey {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let claims_pq = hello.alpn().is_some_and(|mut names| names.any(|name| name == protocol_pq()));
        let is_pq = hello.named_groups() == Some(&[NamedGroup::X25519MLKEM768]);
        (is_pq || !claims_pq).then(|| self.0.clone())
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

/// Takes one server: the one with this identity.
#[derive(Debug)]
struct Expected(Identity);

impl ServerCertVerifier for Expected {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match lone_identity(key, more)? == self.0 {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signer(message, key, signed).map(|_| HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Takes the clients that the endpoint admits.
struct Admitted(Admit);

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admitted")
    }
}

impl ClientCertVerifier for Admitted {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        lone_identity(key, more).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    /// Asks who is admitted only here, once the key is proven: nobody can ask with the key of another.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match (self.0)(&signer(message, key, signed)?) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn lone_identity(key: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<Identity, Error> {
    match identity(key) {
        Some(identity) if more.is_empty() => Ok(identity),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

/// The identity in `key`, if it signed `message`.
fn signer(message: &[u8], key: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Result<Identity, Error> {
    let identity = identity(key).ok_or(CertificateError::BadEncoding)?;
    let signature: Option<[u8; Signature::BYTES]> = signed.signature().try_into().ok();
    match signature {
        Some(signature)
            if signed.scheme == SignatureScheme::ED25519 && identity.verify(message, &Signature(signature)) =>
        {
            Ok(identity)
        }
        _ => Err(CertificateError::BadSignature.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_44_bytes_are_an_identity() {
        let good = key_info(&Identity([7; 32])).to_vec();
        assert_eq!(good.len(), 44);
        assert_eq!(identity(&good), Some(Identity([7; 32])));
        for i in 0..KEY_INFO_PREFIX.len() {
            let mut bad = good.clone();
            bad[i] ^= 1;
            assert_eq!(identity(&bad), None, "byte {i}");
        }
        assert_eq!(identity(&good[..43]), None);
        assert_eq!(identity(&[good, vec![0]].concat()), None);
        assert_eq!(identity(&[]), None);
    }
}
