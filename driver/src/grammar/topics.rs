//! Help about the URLs that start a master or a runtime.

/// The three uses of the program.
pub(super) const USAGE: &str = "\
openctrl COMMAND ...                               ask a running master
       openctrl master://HOST:PORT[/PREFIX][?QUERY]       run a master
       openctrl exec:COMMAND[?QUERY] | demo://NAME        run one instance in the foreground";

/// Below the list of commands.
pub(super) const EXAMPLES: &str = "\
Examples:
  openctrl 'master://127.0.0.1:8080'
  openctrl create demo://first --alias first
  openctrl list

'openctrl help COMMAND' describes a command, 'openctrl help master' the master URL and
'openctrl help runtime' the URLs of instances.";

/// How a master is started.
pub(super) const MASTER_USAGE: &str = "openctrl master://HOST:PORT[/PREFIX][?QUERY]";

/// The parameters of the master URL.
pub(super) const MASTER: &str = "\
Query parameters of the master URL:
  bin=<path>     the program that runs instances (default: this program)
  tls=0|1|2      HTTP; HTTPS with a certificate made at start; HTTPS with crt and key
  crt=<path>     certificate chain in PEM, for tls=2
  key=<path>     private key in PEM, for tls=2
  state=<dir>    directory of the state (default: gob/ beside this program)
  logs=<dir>     write the output of instances to files in this directory
                 (log_lines, log_memory, log_size, log_keep, log_age, logs_full: see
                 OPERATIONS.md)
  metrics=open   serve /metrics without a key; metrics_instances=on: series for each instance
  cors=*|off|<origins>  which web sites may use the API (default: *)
  client_ca=<path>    clients must show a certificate of these authorities; needs TLS
  socket=<path>  also serve the API on this Unix socket, without a key for the user of the master
  log_format=json     write the log of the master as JSON (default: plain)
  console=on|off repeat the output of instances on standard output (default: on)
  webhook=<url>  report errors, recoveries, flapping and readiness of instances to this URL;
                 can be repeated (webhook_events, webhook_secret: see OPERATIONS.md)
  page=on|off    serve the web page at / (default: on)
  trace=off|<dir>     whether and where inputs are recorded (default: trace/ in the state)
  trace_size=<MiB>    maximum size of the trace (default: 64)
  trace_text=on|off   whether the text of log lines is recorded too (default: off)
  heartbeat=<s>  how often an idle event stream shows that it is alive, 1 to 30 (default: 3)
  survive=on|off whether instances outlive a master that is killed (default: on, on Linux)
  cgroups=on|off whether each process has a control group of its own (default: if delegated)
  control=<dir>  also serve the control API on Unix sockets in this directory
                 (control_group, control_events, control_sockets: see CONTROL.md)
  patrol=<path>  also serve Patrol's API for the apps and services of this config.json

Examples:
  openctrl 'master://127.0.0.1:8080'
  openctrl 'master://0.0.0.0:8443/admin?tls=1&bin=/opt/runtime'";

/// How a runtime is started.
pub(super) const RUNTIME_USAGE: &str = "openctrl exec:COMMAND[?QUERY] | demo://NAME[?QUERY]";

/// The URLs that this program runs instances of.
pub(super) const RUNTIME: &str = "\
exec: runs a command.
  exec:///path/of/command    an absolute path
  exec:command               a name, looked up in PATH
  arg=<text>                 an argument; can be repeated, in order
  env=<NAME>%3D<value>       an environment variable; can be repeated
  secret=<NAME>%3Dfile:<path>   a variable whose value is read from a file at the start;
                             env:<NAME> reads it from the environment of the master
  cwd=<dir>                  the working directory, an absolute path

demo: runs an instance that only prints lines and checkpoints.
  demo://NAME

Escape &, =, %, # and + in values: %26, %3D, %25, %23, %2B. A + is a space.

Exit status of a refused start: 2 for a bad URL or working directory, 126 if the command
cannot be executed, 127 if it is not found.

Example:
  openctrl 'exec:///bin/sleep?arg=60'";
