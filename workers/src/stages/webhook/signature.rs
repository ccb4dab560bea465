//! Signatures of the Standard Webhooks specification, version 1.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{
    callback::{SigningKey, SigningKeys},
    ids::Tenant,
};
use ring::hmac;

/// The signers of each tenant that has any.
pub struct Signers(HashMap<Tenant, Vec<Signer>>);

struct Signer(hmac::Key);

impl Signers {
    pub fn new(keys: &SigningKeys) -> Self {
        let signers = |keys: &[SigningKey]| keys.iter().map(Signer::new).collect();
        let each = keys.iter();
        Self(each.map(|(it, keys)| (it.clone(), signers(keys))).collect())
    }

    /// The header `webhook-signature` of a message to a receiver of `tenant`,
    /// with this id, sent at `timestamp` (seconds since the Unix epoch): one
    /// signature by each of its secrets, separated by spaces. `None` when it has
    /// none.
    pub fn sign(&self, tenant: &Tenant, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
        let signers = self.0.get(tenant)?.iter();
        let signatures: Vec<_> = signers.map(|it| it.sign(id, timestamp, body)).collect();
        Some(signatures.join(" "))
    }
}

impl Signer {
    fn new(key: &SigningKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use common::callback::Strength;

    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = Signer::new(&key).sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_tenant_signs_with_all_of_its_secrets_and_with_nobody_elses() {
        let list = "web:old,web:new,app:other";
        let env = [("WEBHOOK_SECRETS", list)].into_iter().collect();
        let keys = SigningKeys::from_environment(&env, Strength::Any).unwrap();
        let signers = Signers::new(&keys);
        let signed = |tenant: &str| signers.sign(&tenant.parse().unwrap(), "id", 1, b"{}");
        let by = |secret| Signer::new(&SigningKey::parse(secret).unwrap()).sign("id", 1, b"{}");
        assert_eq!(signed("web"), Some(format!("{} {}", by("old"), by("new"))));
        assert_eq!(signed("app"), Some(by("other")));
        assert_eq!(signed("default"), None);
    }
}
