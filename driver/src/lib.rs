//! The OpenCtrl daemon.
