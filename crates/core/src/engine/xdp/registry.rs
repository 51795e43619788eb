//! Values that threads of this process share.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::sys;

/// A device: its network namespace, as indices repeat in others, and its index.
pub(super) type DeviceKey = (String, u32);

/// The key of the device of this index in the network namespace of the calling thread.
pub(super) fn device_key(index: u32) -> io::Result<DeviceKey> {
    let namespace = sys::network_identity().ok_or_else(|| {
        io::Error::other(
            "cannot read /proc/thread-self/ns/net, which tells network namespaces apart; mount \
             /proc",
        )
    })?;
    Ok((namespace, index))
}

/// Values by key; each stays open while it has a user.
pub(super) struct Registry<K, V>(Mutex<Vec<(K, Weak<V>)>>);

impl<K: PartialEq, V> Registry<K, V> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The value of this key; opens it if there is none.
    pub(super) fn get(&self, key: K, open: impl FnOnce() -> io::Result<V>) -> io::Result<Arc<V>> {
        let mut all = lock(&self.0);
        all.retain(|(_, value)| value.strong_count() > 0);
        let found = all.iter().find(|(known, _)| *known == key);
        if let Some(value) = found.and_then(|(_, value)| value.upgrade()) {
            return Ok(value);
        }
        let value = Arc::new(open()?);
        all.push((key, Arc::downgrade(&value)));
        Ok(value)
    }
}

/// Locks a value. A panic of another thread leaves it consistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
