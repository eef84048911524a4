//! Which endpoint a request is for, and whether it may go there (Contract §3).

use alloc::string::String;

use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use crate::ids::{InstanceId, KEY_INSTANCE_ID};

/// A request method, as far as the API tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// Any other: no path has it.
    Other,
}

/// A known path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/info`
    Info,
    /// `/instances`
    Instances,
    /// `/instances/{id}`
    Instance(Target),
    /// `/events`
    Events,
    /// `/tcping`
    TcpPing,
}

/// What the last part of an instance path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: the id is empty.
    Nothing,
    /// The key instance.
    Key,
    /// Something with the form of an instance id.
    Instance(InstanceId),
    /// Something that can be no instance's id.
    Unknown,
}

/// What an admitted request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /info`
    ReadInfo,
    /// `POST /info`
    SetAlias,
    /// `GET /instances`
    List,
    /// `POST /instances`
    Create,
    /// `GET /instances/********`
    ReadKey,
    /// `PATCH /instances/********`
    PatchKey,
    /// `GET /instances/{id}`
    Read(InstanceId),
    /// `PATCH /instances/{id}`
    Patch(InstanceId),
    /// `PUT /instances/{id}`
    Replace(InstanceId),
    /// `DELETE /instances/{id}`
    Delete(InstanceId),
    /// `GET /events`
    Events,
    /// `GET /tcping`
    TcpPing,
}

/// Finds the route of a request path below `api_base` (`/api/v2`); `None` is 404.
pub fn route(api_base: &str, path: &str) -> Option<Route> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let below = decoded.strip_prefix(api_base)?;
    match below {
        "/info" => Some(Route::Info),
        "/instances" => Some(Route::Instances),
        "/events" => Some(Route::Events),
        "/tcping" => Some(Route::TcpPing),
        other => other.strip_prefix("/instances/").map(|id| Route::Instance(target(id))),
    }
}

fn target(id: &str) -> Target {
    match id {
        "" => Target::Nothing,
        KEY_INSTANCE_ID => Target::Key,
        other => InstanceId::parse(other).map_or(Target::Unknown, Target::Instance),
    }
}

/// Decides whether a request may go where it wants. The key is looked at first, then whether the
/// instance exists, then the method.
///
/// # Errors
/// The refusal to answer with: 401, 400 for an empty id, 404, 403 or 405.
pub fn admit(
    route: Route,
    method: Method,
    has_key: bool,
    exists: impl FnOnce(InstanceId) -> bool,
) -> Result<Endpoint, Refusal> {
    if !has_key {
        return Err(Refusal::NoKey);
    }
    match (route, method) {
        (Route::Info, Method::Get) => Ok(Endpoint::ReadInfo),
        (Route::Info, Method::Post) => Ok(Endpoint::SetAlias),
        (Route::Info, _) => Err(Refusal::Method("GET, POST, OPTIONS")),
        (Route::Instances, Method::Get) => Ok(Endpoint::List),
        (Route::Instances, Method::Post) => Ok(Endpoint::Create),
        (Route::Instances, _) => Err(Refusal::Method("GET, POST, OPTIONS")),
        (Route::Events, Method::Get) => Ok(Endpoint::Events),
        (Route::TcpPing, Method::Get) => Ok(Endpoint::TcpPing),
        (Route::Events | Route::TcpPing, _) => Err(Refusal::Method("GET, OPTIONS")),
        (Route::Instance(target), method) => admit_instance(target, method, exists),
    }
}

fn admit_instance(
    target: Target,
    method: Method,
    exists: impl FnOnce(InstanceId) -> bool,
) -> Result<Endpoint, Refusal> {
    let id = match target {
        Target::Nothing => {
            let reason = "the instance id is empty; the path is /instances/{id}";
            return Err(Refusal::Bad(String::from(reason)));
        }
        Target::Unknown => return Err(Refusal::NoInstance),
        Target::Instance(id) if !exists(id) => return Err(Refusal::NoInstance),
        Target::Instance(id) => Some(id),
        Target::Key => None,
    };
    match (method, id) {
        (Method::Get, Some(id)) => Ok(Endpoint::Read(id)),
        (Method::Patch, Some(id)) => Ok(Endpoint::Patch(id)),
        (Method::Put, Some(id)) => Ok(Endpoint::Replace(id)),
        (Method::Delete, Some(id)) => Ok(Endpoint::Delete(id)),
        (Method::Get, None) => Ok(Endpoint::ReadKey),
        (Method::Patch, None) => Ok(Endpoint::PatchKey),
        (Method::Put | Method::Delete, None) => Err(Refusal::KeyInstance),
        (Method::Post | Method::Options | Method::Other, _) => {
            Err(Refusal::Method("GET, PATCH, PUT, DELETE, OPTIONS"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const ID: InstanceId = InstanceId(0xd34d_b33f);

    #[test]
    fn paths_lead_where_the_contract_says() {
        let cases = [
            ("/api/v2/info", Some(Route::Info)),
            ("/api/v2/instances", Some(Route::Instances)),
            ("/api/v2/events", Some(Route::Events)),
            ("/api/v2/tcping", Some(Route::TcpPing)),
            ("/api/v2/instances/", Some(Route::Instance(Target::Nothing))),
            ("/api/v2/instances/d34db33f", Some(Route::Instance(Target::Instance(ID)))),
            ("/api/v2/instances/%64%334db33f", Some(Route::Instance(Target::Instance(ID)))),
            ("/api/v2/instances/********", Some(Route::Instance(Target::Key))),
            ("/api/v2/instances/%2A%2a******", Some(Route::Instance(Target::Key))),
            ("/api/v2/instances/d34db33f/x", Some(Route::Instance(Target::Unknown))),
            ("/api/v2/instances/D34DB33F", Some(Route::Instance(Target::Unknown))),
            ("/api/v2/info/", None),
            ("/api/v2", None),
            ("/api/v2/", None),
            ("/api/v3/info", None),
            ("/info", None),
            ("*", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(route("/api/v2", path), expected, "{path}");
        }
    }

    #[test]
    fn the_key_comes_before_everything_and_the_id_before_the_method() {
        let known = |id| id == ID;
        let instance = Route::Instance(Target::Instance(ID));
        let stranger = Route::Instance(Target::Instance(InstanceId(1)));
        let empty = Route::Instance(Target::Nothing);
        for route in [Route::Info, Route::Events, instance, stranger, empty] {
            assert_eq!(admit(route, Method::Other, false, known), Err(Refusal::NoKey));
        }
        assert_eq!(admit(stranger, Method::Other, true, known), Err(Refusal::NoInstance));
        assert_eq!(admit(instance, Method::Put, true, known), Ok(Endpoint::Replace(ID)));
        let statuses = [
            (empty, Method::Get, 400),
            (instance, Method::Post, 405),
            (Route::Info, Method::Delete, 405),
            (Route::Events, Method::Post, 405),
            (Route::Instance(Target::Key), Method::Put, 403),
            (Route::Instance(Target::Key), Method::Delete, 403),
            (Route::Instance(Target::Key), Method::Post, 405),
            (Route::Instance(Target::Unknown), Method::Post, 404),
        ];
        for (route, method, status) in statuses {
            let refusal = admit(route, method, true, known).expect_err(&format!("{route:?}"));
            assert_eq!(refusal.status(), status, "{route:?} {method:?}");
        }
    }
}
