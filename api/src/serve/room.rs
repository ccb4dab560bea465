//! Room for connections: for all of them, and for those of one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client_address::{Proxies, household};

pub struct Room {
    all: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    per_address: usize,
    /// Many clients come through each of them.
    proxies: Proxies,
}

/// Held by a connection.
#[derive(Debug)]
pub struct RoomPermit {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<AddressPermit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NoRoom {
    All,
    Address,
}

/// How many connections each address has that has any: so no more entries than
/// there are connections.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

#[derive(Debug)]
struct AddressPermit {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Room {
    pub fn new(all: usize, per_address: usize, proxies: Proxies) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            addresses: Arc::default(),
            per_address,
            proxies,
        }
    }

    pub fn admit(&self, client: IpAddr) -> Result<RoomPermit, NoRoom> {
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all.map_err(|_| NoRoom::All)?;
        let client = client.to_canonical();
        let of_address = if self.proxies.trusts(client) {
            None
        } else {
            let permit = Addresses::enter(&self.addresses, household(client), self.per_address);
            Some(permit.ok_or(NoRoom::Address)?)
        };
        Ok(RoomPermit {
            _of_all: of_all,
            _of_address: of_address,
        })
    }
}

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(addresses: &Arc<Self>, address: IpAddr, most: usize) -> Option<AddressPermit> {
        let mut counts = addresses.lock();
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(AddressPermit {
            addresses: Arc::clone(addresses),
            address,
        })
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut counts = self.addresses.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(all: usize, per_address: usize) -> Room {
        let pairs = [("TRUSTED_PROXIES", "10.0.0.0/8")];
        let proxies = Proxies::from_environment(&pairs.into_iter().collect()).unwrap();
        Room::new(all, per_address, proxies)
    }

    fn admit(room: &Room, address: &str) -> Result<RoomPermit, NoRoom> {
        room.admit(address.parse().unwrap())
    }

    #[test]
    fn an_address_has_its_share_and_others_have_the_rest() {
        let room = room(5, 2);
        let first = admit(&room, "192.0.2.1").unwrap();
        let _second = admit(&room, "::ffff:192.0.2.1").unwrap();
        assert_eq!(admit(&room, "192.0.2.1").unwrap_err(), NoRoom::Address);
        let _third = admit(&room, "2001:db8::1").unwrap();
        let fourth = admit(&room, "2001:db8::2").unwrap();
        // One network of version 6 is one client.
        assert_eq!(admit(&room, "2001:db8::3").unwrap_err(), NoRoom::Address);
        let _fifth = admit(&room, "192.0.2.2").unwrap();
        assert_eq!(admit(&room, "192.0.2.2").unwrap_err(), NoRoom::All);
        drop((first, fourth));
        let _again = admit(&room, "192.0.2.1").unwrap();
    }

    #[test]
    fn behind_a_trusted_proxy_are_many() {
        let room = room(3, 1);
        let held: Vec<_> = (0..3).map(|_| admit(&room, "10.1.2.3").unwrap()).collect();
        assert_eq!(admit(&room, "10.1.2.3").unwrap_err(), NoRoom::All);
        drop(held);
        // Who was refused has taken nothing.
        for _ in 0..3 {
            drop(admit(&room, "192.0.2.1").unwrap());
        }
        assert!(room.addresses.lock().is_empty());
    }
}
