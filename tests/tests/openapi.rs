//! The OpenAPI document, and real answers held to it.

use boon::{Compiler, Schemas};
use openctrl_tests::control::Sockets;
use openctrl_tests::script::Step;
use openctrl_tests::{Api, KEY_ID, Master, Response, Script, until};
use serde_json::{Value, json};

/// The document of a master, to hold its answers to.
struct Document {
    text: Value,
    compiler: Compiler,
    schemas: Schemas,
}

impl Document {
    const PLACE: &str = "http://localhost/openapi.json";

    fn of(api: &Api) -> Self {
        let document = api.without_key().get("/openapi.json").expect(200).json();
        assert_eq!(document["openapi"], "3.1.0");
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(Self::PLACE, document.clone()).expect("a resource");
        Self { text: document, compiler, schemas: Schemas::new() }
    }

    /// Holds the answer to `method path` to what the document says of it.
    fn check(&mut self, method: &str, path: &str, answer: &Response) -> Value {
        let status = answer.status.to_string();
        let what = format!("{method} {path} {status}");
        let operation = &self.text["paths"][path][method];
        assert!(operation.is_object(), "{what} is not there");
        let mut place = format!("/paths/{}/{method}/responses/{status}", path.replace('/', "~1"));
        let mut response = &operation["responses"][&status];
        assert!(response.is_object(), "{what} is not there");
        if let Some(target) = response["$ref"].as_str() {
            place = target.trim_start_matches('#').to_owned();
            response = self.text.pointer(&place).expect("what is referred to is there");
        }
        let has_body = response["content"].is_object();
        assert_eq!(has_body, !answer.body.is_empty(), "{what}");
        if !has_body {
            return Value::Null;
        }
        let body = answer.json();
        let place = format!("{}#{place}/content/application~1json/schema", Self::PLACE);
        let place = place.replace('{', "%7B").replace('}', "%7D");
        let index = self.compiler.compile(&place, &mut self.schemas);
        let index = index.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        if let Err(error) = self.schemas.validate(&body, index) {
            panic!("{what}: {error:#}: {body}");
        }
        body
    }
}

#[test]
fn answers_are_what_the_document_says() {
    let (master, _sockets) = Sockets::start();
    let api = master.api();
    let mut document = Document::of(&api);
    let instance = "/instances/{id}";
    let script = Script::new().print("a line").checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let url = script.step(Step::Exit(3)).url();

    let answer = api.post("/instances", &json!({"url": url}));
    let id = openctrl_tests::api::id_of(&document.check("post", "/instances", &answer));
    let at = |part: &str| format!("/instances/{id}{part}");
    until("its end", || api.get(&at("/process")).json()["exits"] != 0);
    document.check("post", "/instances", &api.post("/instances", &json!({"url": 5})));
    document.check("get", "/instances", &api.get("/instances"));
    document.check("get", instance, &api.get(&at("")));
    document.check("get", instance, &api.get(&format!("/instances/{KEY_ID}")));
    document.check("get", instance, &api.get("/instances/00000000"));
    document.check("get", instance, &api.get("/instances/"));
    let answer = api.patch(&id, &json!({"meta": {"tags": {"a": "b"}}, "restart": null}));
    document.check("patch", instance, &answer);
    document.check("patch", instance, &api.patch(&id, &json!({"action": "jump"})));
    let stale = api.request("PATCH", &at("")).header("If-Match", "\"x\"");
    document.check("patch", instance, &stale.json(&json!({})).send());
    let logs = "/instances/{id}/logs";
    let page = document.check("get", logs, &api.get(&at("/logs")));
    assert_eq!(page["lines"][0]["text"], "a line");
    document.check("get", logs, &api.get(&at("/logs?limit=x")));
    document.check("get", logs, &api.get("/instances/00000000/logs"));
    let process = "/instances/{id}/process";
    document.check("get", process, &api.get(&at("/process")));
    document.check("get", process, &api.get("/instances/00000000/process"));
    document.check("get", "/processes", &api.get("/processes"));
    let control = "/instances/{id}/control";
    let resource = document.check("get", control, &api.get(&at("/control")));
    assert_eq!(resource["status"]["observed"]["lastExit"], "code 3");
    document.check("get", control, &api.get("/instances/00000000/control"));
    let without = Master::start();
    let id_without = without.api().run(&Script::new().wait());
    let path = format!("/instances/{id_without}/control");
    document.check("get", control, &without.api().get(&path).expect(404));
    document.check("put", instance, &api.put(&id, &url));
    document.check("put", instance, &api.put(&id, &Script::new().print("other").url()));
    document.check("put", instance, &api.put(KEY_ID, "a:b"));
    document.check("delete", instance, &api.delete(&id));
    document.check("delete", instance, &api.delete(KEY_ID));
    document.check("get", "/info", &api.get("/info"));
    document.check("post", "/info", &api.post("/info", &json!({"alias": "x"})));
    document.check("get", "/tcping", &api.get("/tcping?target=nonsense"));
    document.check("get", "/tcping", &api.get("/tcping"));
    document.check("get", "/info", &api.without_key().get("/info"));
    document.check("get", "/openapi.json", &api.get("/openapi.json"));
    let answer = api.without_key().request("POST", "/openapi.json").send();
    answer.expect_error(405);
    document.check("options", "/events", &api.request("OPTIONS", "/events").send());
}

#[test]
fn the_document_is_that_of_the_master() {
    let master = Master::builder().path("/a b").start();
    let api = master.api();
    let read = |path: &str| api.request_at("GET", &format!("/a%20b/v2{path}")).send().expect(200);
    let document = read("/openapi.json").json();
    assert_eq!(document["servers"][0]["url"], "/a%20b/v2");
    assert_eq!(document["info"]["version"], read("/info").json()["ver"]);
}

#[test]
fn the_document_is_also_of_openapi_3_0() {
    let master = Master::start();
    let api = master.api().without_key();
    let old = api.get("/openapi.json?version=3.0").expect(200).json();
    assert_eq!(old["openapi"], "3.0.3");
    let new = api.get("/openapi.json?version=3.1").expect(200).json();
    assert_eq!(new, api.get("/openapi.json").expect(200).json());
    let paths = |document: &Value| -> Vec<String> {
        document["paths"].as_object().expect("paths").keys().cloned().collect()
    };
    assert_eq!(paths(&old), paths(&new));
    api.get("/openapi.json?version=2.0").expect_error(400);
}

#[test]
fn every_path_is_below_the_base() {
    let master = Master::start();
    let api = master.api();
    let below = api.get("/metrics").expect(200);
    assert!(below.text().contains("openctrl_"), "{}", below.text());
    assert_eq!(below.header("Access-Control-Allow-Origin"), None);
    api.request_at("GET", "/metrics").send().expect(200);
    api.without_key().get("/metrics").expect_error(401);
    let document = api.get("/openapi.json").expect(200).json();
    for (path, item) in document["paths"].as_object().expect("paths") {
        assert!(item["servers"].is_null(), "{path}");
    }
}
