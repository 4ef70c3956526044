"""What has to agree in this folder though no schema says so. deploy/check runs it.

Takes files with Kubernetes manifests: one for each rendering, or those of the base. Beside them it reads the compose file, the
Dockerfile and the settings of both services. Prints each thing that is wrong and exits with 1 if there is one.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SERVICES = {"opportunity": "order", "order": "opportunity"}  # each with its peer
UID = 65532
SET = ("LISTEN", "PEER_LISTEN", "PEER_URL", "PEER_TOKEN_FILE", "METRICS_LISTEN", "DRAIN_SECONDS", "TRUST_METADATA_IDENTITY")
RELAY = 5  # seconds that the last delivery may take after the drain: PEER_DEADLINE

problems = []


def claim(true, what):
    if not true:
        problems.append(what)


def dig(value, *path, default=None):
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return default
    return value


class Settings:
    """What a service can be told, as its config.rs has it."""

    def __init__(self, service):
        text = (ROOT / "services" / service / "src" / "config.rs").read_text(encoding="utf-8")
        self.default = dict.fromkeys(re.findall(r'\benv = "(\w+)"', text))
        self.default.update(re.findall(r'\benv = "(\w+)", default_value = "([^"]*)"', text))
        actions = re.search(r"enum Action \{(.*?)\n\}", text, re.S)
        self.actions = {name.lower() for name in re.findall(r"^    (\w+),$", actions.group(1), re.M)}
        self.prefix = service.upper() + "_"

    def port(self, name):
        return int(self.default[self.prefix + name].rsplit(":", 1)[1])


SETTINGS = {service: Settings(service) for service in SERVICES}
LIVENESS = re.search(
    r'set_service_status\("(\w+)"', (ROOT / "shared/runtime/src/server.rs").read_text(encoding="utf-8")
).group(1)


def served_by(image):
    """The service that an image holds."""
    name = re.sub(r"(@sha256:[0-9a-f]{64}|:[\w.-]+)$", "", image).rsplit("/", 1)[-1]
    return name.removesuffix("-service") if name.removesuffix("-service") in SERVICES else None


def settings_exist(where, service, names, arguments):
    known = SETTINGS[service]
    for name in names:
        general = name == "RUST_LOG" or name.startswith("OTEL_")
        claim(name in known.default or general, f"{where}: {service}-service has no setting {name}")
    for argument in arguments:
        claim(argument in known.actions, f"{where}: {service}-service has no subcommand {argument}")


def all_set(where, env, names):
    """Whether each of these is set; that it isn't is a problem of its own."""
    for name in names:
        claim(env.get(name), f"{where}: {name} is not set")
    return all(env.get(name) for name in names)


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def ports_of(workload):
    return workload["spec"]["template"]["spec"]["containers"][0].get("ports", [])


# --- Kubernetes ---------------------------------------------------------------------------------------------------------


class Manifests:
    def __init__(self, name, paths):
        self.name = name
        self.all = [d for p in paths for d in yaml.safe_load_all(Path(p).read_text(encoding="utf-8")) if d]

    def of(self, kind):
        return [d for d in self.all if d["kind"] == kind]

    def where(self, document):
        return f"{self.name}: {document['kind']} {document['metadata']['name']}"

    def pods(self):
        return [(d, d["spec"]["template"]) for d in self.of("Deployment") + self.of("Job")]

    def selected(self, selector):
        """The workloads whose pods a selector means."""
        wanted = (selector.get("matchLabels") or {}) if set(selector) <= {"matchLabels"} else selector
        return [d for d, pod in self.pods() if wanted.items() <= pod["metadata"]["labels"].items()]

    def check(self):
        for kind, count in {"Deployment": 2, "Job": 2, "PodDisruptionBudget": 2, "Service": 6}.items():
            claim(len(self.of(kind)) == count, f"{self.name}: {len(self.of(kind))} of {kind}, not {count}")
        for document, pod in self.pods():
            self.restricted(self.where(document), pod["spec"])
            self.settings(self.where(document), pod["spec"])
        for deployment in self.of("Deployment"):
            self.deployment(self.where(deployment), deployment)
        for service in self.of("Service"):
            self.service(self.where(service), service)
        for budget in self.of("PodDisruptionBudget"):
            claim(
                len(self.selected(budget["spec"]["selector"])) == 1, f"{self.where(budget)}: is not about one Deployment"
            )
        self.network()

    def restricted(self, where, spec):
        """As Pod Security `restricted` asks, and a little more."""
        claim(spec.get("automountServiceAccountToken") is False, f"{where}: gets a token of its service account")
        claim(spec.get("enableServiceLinks") is False, f"{where}: gets variables of Services among its settings")
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            claim(not spec.get(key), f"{where}: {key}")
        pod = spec.get("securityContext") or {}
        claim(pod.get("runAsNonRoot") is True, f"{where}: may run as root")
        claim(pod.get("runAsUser") == UID, f"{where}: does not run as {UID}")
        claim(dig(pod, "seccompProfile", "type") == "RuntimeDefault", f"{where}: seccomp is not RuntimeDefault")
        for container in spec.get("initContainers", []) + spec["containers"]:
            at = f"{where}, container {container['name']}"
            own = container.get("securityContext") or {}
            claim(own.get("allowPrivilegeEscalation") is False, f"{at}: may gain privileges")
            claim(own.get("readOnlyRootFilesystem") is True, f"{at}: may write to its root")
            claim(own.get("capabilities") == {"drop": ["ALL"]}, f"{at}: keeps capabilities")
            claim(not own.get("privileged"), f"{at}: is privileged")
            claim(not {"runAsNonRoot", "runAsUser", "seccompProfile"} & set(own), f"{at}: overrides its pod's security")
            memory = [dig(container, "resources", key, "memory") for key in ("requests", "limits")]
            claim(memory[0] and memory[0] == memory[1], f"{at}: memory requested and limit are not the same: {memory}")
            claim(dig(container, "resources", "requests", "cpu"), f"{at}: requests no CPU")

    def settings(self, where, spec):
        mounted = {v["name"]: v for v in spec.get("volumes", [])}
        for container in spec["containers"]:
            service = served_by(container["image"])
            claim(service, f"{where}: {container['image']} is none of ours")
            if self.name != "base":
                claim(re.search(r"[@:]", container["image"]), f"{where}: {container['image']} has no digest or tag")
            if not service:
                continue
            env = {e["name"]: e for e in container.get("env", [])}
            settings_exist(where, service, env, container.get("args", []))
            database = env.get(SETTINGS[service].prefix + "DATABASE_URL", {})
            claim(dig(database, "valueFrom", "secretKeyRef"), f"{where}: the database's address is not from a secret")
            file = env.get(SETTINGS[service].prefix + "PEER_TOKEN_FILE")
            if file:
                files = {
                    f"{mount['mountPath']}/{item['path']}"
                    for mount in container.get("volumeMounts", [])
                    for item in dig(mounted.get(mount["name"]), "secret", "items", default=[])
                }
                claim(file.get("value") in files, f"{where}: {file.get('value')} is not a file of a secret")

    def deployment(self, where, deployment):
        spec = deployment["spec"]["template"]["spec"]
        container = spec["containers"][0]
        service = served_by(container["image"])
        if not service:
            return
        settings, peer = SETTINGS[service], SETTINGS[SERVICES[service]]
        env = {e["name"].removeprefix(settings.prefix): e.get("value") for e in container["env"]}
        if not all_set(where, env, SET):
            return
        ports = {p["name"]: p["containerPort"] for p in container["ports"]}
        for name, setting in {"public": "LISTEN", "peer": "PEER_LISTEN", "metrics": "METRICS_LISTEN"}.items():
            claim(ports.get(name) == port_of(env[setting]), f"{where}: port {name} is not the one of {setting}")
        for setting in ("LISTEN", "PEER_LISTEN"):
            claim(port_of(env[setting]) == settings.port(setting), f"{where}: {setting} is not on its usual port")
        claim(env.get("TRUST_METADATA_IDENTITY") == "true", f"{where}: would not listen off loopback")

        for url in env["PEER_URL"].split(","):
            host, port = re.fullmatch(r"http://([\w-]+):(\d+)", url).groups()
            targets = [s for s in self.of("Service") if s["metadata"]["name"] == host]
            claim(len(targets) == 1, f"{where}: there is no Service {host}")
            for target in targets:
                claim(target["spec"].get("clusterIP") != "None", f"{where}: {host} has no address that stays")
                claim(int(port) in [p["port"] for p in target["spec"]["ports"]], f"{where}: {host} has no port {port}")
                claim(int(port) == peer.port("PEER_LISTEN"), f"{where}: {port} is not where the peer listens")
                pods = [d["spec"]["template"]["spec"] for d in self.selected(target["spec"]["selector"])]
                led = [served_by(pod["containers"][0]["image"]) for pod in pods]
                claim(led == [SERVICES[service]], f"{where}: {host} does not lead to the {SERVICES[service]} service")

        drain, sleep = int(env["DRAIN_SECONDS"]), dig(container, "lifecycle", "preStop", "sleep", "seconds", default=0)
        needed = sleep + drain + RELAY
        claim(sleep >= 5, f"{where}: the port closes before Services know")
        claim(spec["terminationGracePeriodSeconds"] > needed, f"{where}: is killed before its {needed} s to end are over")
        update = deployment["spec"]["strategy"]["rollingUpdate"]
        claim(update["maxUnavailable"] == 0, f"{where}: an update takes processes away before new ones are there")
        for probe, asked in {"startupProbe": LIVENESS, "livenessProbe": LIVENESS, "readinessProbe": None}.items():
            grpc = dig(container, probe, "grpc", default={})
            claim(grpc.get("port") == ports["public"], f"{where}: {probe} does not ask the public port by gRPC")
            claim((grpc.get("service") or None) == asked, f"{where}: {probe} asks for {grpc.get('service')!r}")
        selector = deployment["spec"]["selector"]
        claim(self.selected(selector) == [deployment], f"{where}: does not select just its own pods")
        spread = {c["topologyKey"] for c in spec.get("topologySpreadConstraints", [])}
        claim("kubernetes.io/hostname" in spread, f"{where}: its pods may all be on one node")

    def service(self, where, service):
        pods = self.selected(service["spec"]["selector"])
        claim(len(pods) == 1 and pods[0]["kind"] == "Deployment", f"{where}: does not lead to one Deployment")
        for pod in pods:
            there = {p["name"]: p["containerPort"] for p in ports_of(pod)}
            for port in service["spec"]["ports"]:
                claim(there.get(port["targetPort"]) == port["port"], f"{where}: port {port['port']} is not the pods'")
                claim(
                    (port["targetPort"] == "peer") == service["metadata"]["name"].endswith("-peer"),
                    f"{where}: public and peer port under one name",
                )

    def collectors(self):
        """The ports of the collectors that traces are sent to."""
        env = [e for d in self.of("Deployment") for e in d["spec"]["template"]["spec"]["containers"][0]["env"]]
        return {port_of(e["value"]) for e in env if e["name"].endswith("_OTLP_ENDPOINT")}

    def network(self):
        """Every pod is denied by default; what is then allowed is about ports and pods that there are."""
        denied = []
        for policy in self.of("NetworkPolicy"):
            where, spec = self.where(policy), policy["spec"]
            pods = self.selected(spec["podSelector"])
            claim(pods, f"{where}: is about no pod")
            rules = [(rule, "from", pods) for rule in spec.get("ingress", [])]
            rules += [(rule, "to", None) for rule in spec.get("egress", [])]
            if not rules:
                denied += pods if set(spec["policyTypes"]) == {"Ingress", "Egress"} else []
            for rule, side, at in rules:
                there = [p for p in rule.get(side, []) if "namespaceSelector" not in p]
                others = [p["podSelector"] for p in there if "podSelector" in p]
                reached = [d for o in others for d in self.selected(o)]
                claim(rule.get("ports"), f"{where}: allows every port")
                claim(side == "to" or rule.get("from"), f"{where}: allows everybody")
                for selector in others:
                    claim(not selector or self.selected(selector), f"{where}: {selector} means no pod")
                for port in (p["port"] for p in rule.get("ports", [])):
                    if at is None and not others:
                        known = {53, 5432, *self.collectors()}
                        claim(port in known, f"{where}: port {port} is neither DNS nor PostgreSQL nor a collector's")
                        continue
                    for pod in at if at is not None else reached:
                        named = [p for p in ports_of(pod) if port in (p["name"], p["containerPort"])]
                        claim(named, f"{where}: {pod['metadata']['name']} has no port {port}")
                        peer = any(p["name"] == "peer" for p in named)
                        both = [d["metadata"]["labels"]["app.kubernetes.io/name"] for d in pods + reached]
                        claim(
                            not peer or (sorted(both) == sorted(SERVICES) and len(rule[side]) == 1),
                            f"{where}: the peer port is for the other service alone",
                        )
        allowed = {p["port"] for d in self.of("NetworkPolicy") for r in d["spec"].get("egress", []) for p in r["ports"]}
        claim(self.collectors() <= allowed, f"{self.name}: no policy lets traces out to their collector")
        for document, _ in self.pods():
            claim(document in denied, f"{self.where(document)}: no policy denies what is not allowed")


def twins():
    """The two manifests say the same about either service."""
    opportunity, order = (
        (ROOT / f"deploy/kubernetes/base/{service}.yaml").read_text(encoding="utf-8").splitlines() for service in SERVICES
    )
    swaps = {"opportunity": "order", "OPPORTUNITY": "ORDER"}
    for name in ("LISTEN", "PEER_LISTEN"):
        swaps[str(SETTINGS["opportunity"].port(name))] = str(SETTINGS["order"].port(name))
    swaps.update({value: key for key, value in swaps.items()})
    either = re.compile("|".join(swaps))
    swapped = [either.sub(lambda match: swaps[match.group()], line) for line in opportunity]
    for number, (expected, line) in enumerate(zip(swapped, order), 1):
        if expected != line:
            claim(False, f"base: order.yaml line {number} is not opportunity.yaml's with the names changed: {line.strip()}")
            return
    claim(len(swapped) == len(order), "base: order.yaml and opportunity.yaml are not twins")


# --- Compose and image --------------------------------------------------------------------------------------------------


def compose():
    document = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
    services, secrets = document["services"], document["secrets"]
    probe = services["health"]["healthcheck"]["test"][-1]
    for name, spec in services.items():
        where = f"compose: {name}"
        for other, how in (spec["depends_on"].items() if isinstance(spec.get("depends_on"), dict) else []):
            claim(other in services, f"{where}: there is no {other}")
            if how["condition"] == "service_healthy":
                claim("healthcheck" in services[other], f"{where}: {other} has no health")
        service = served_by(spec["image"])
        if not service:
            continue
        claim(dig(spec, "build", "args", "SERVICE") == service, f"{where}: builds another service")
        build = ROOT / "deploy" / spec["build"]["context"] / spec["build"]["dockerfile"]
        claim(build.is_file(), f"{where}: no Dockerfile")
        claim(spec.get("read_only") and spec.get("cap_drop") == ["ALL"], f"{where}: is not restricted")
        settings, peer = SETTINGS[service], SETTINGS[SERVICES[service]]
        env = spec["environment"]
        settings_exist(where, service, env, spec.get("command", []))
        env = {key.removeprefix(settings.prefix): value for key, value in env.items()}
        migration = services[f"{service}-migrate"]
        if not all_set(where, env, ["DATABASE_URL"] if spec is migration else ["DATABASE_URL", *SET]):
            continue
        claim(
            env["DATABASE_URL"] == migration["environment"].get(settings.prefix + "DATABASE_URL"),
            f"{where}: another database than the one that is migrated",
        )
        if spec is migration:
            claim(spec["command"] == ["migrate"], f"{where}: does not migrate")
            claim(dig(spec, "depends_on", "postgres", "condition") == "service_healthy", f"{where}: does not wait")
            continue
        claim(
            dig(spec, "depends_on", f"{service}-migrate", "condition") == "service_completed_successfully",
            f"{where}: does not wait for its migration",
        )
        for setting in ("LISTEN", "PEER_LISTEN"):
            claim(port_of(env[setting]) == settings.port(setting), f"{where}: {setting} is not on its usual port")
        claim(
            env["PEER_URL"] == f"http://{SERVICES[service]}:{peer.port('PEER_LISTEN')}",
            f"{where}: {env['PEER_URL']} is not the peer",
        )
        secret = env["PEER_TOKEN_FILE"].removeprefix("/run/secrets/")
        claim(secret in spec["secrets"] and secret in secrets, f"{where}: there is no secret {secret}")
        claim(
            int(spec["stop_grace_period"].removesuffix("s")) > int(env["DRAIN_SECONDS"]) + RELAY,
            f"{where}: is killed before its time to end is over",
        )
        inside = {port_of(env["LISTEN"]), port_of(env["METRICS_LISTEN"])}
        for port in spec["ports"]:
            claim(port.startswith("127.0.0.1:"), f"{where}: {port} can be reached from other machines")
            claim(port_of(port) in inside, f"{where}: nothing listens on {port}")
        claim(f"{service}:{port_of(env['LISTEN'])}" in probe, f"{where}: nobody asks for its health")


def image():
    lines = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").splitlines()
    stage = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")) :]
    claim(stage[0] == "FROM scratch", "Dockerfile: the image is not empty")
    claim(f"USER {UID}:{UID}" in stage, f"Dockerfile: does not run as {UID}")
    claim('ENTRYPOINT ["/service"]' in stage, "Dockerfile: does not run the service")
    cargo = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    members = {m.split("/")[0] for m in re.findall(r'"([^"]+)"', re.search(r"^members = \[(.*)\]", cargo, re.M).group(1))}
    context = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for needed in members | {"proto", "Cargo.toml", "Cargo.lock"}:
        claim(f"!{needed}" in context, f".dockerignore: {needed} does not get to the build")
    used = re.search(r"rust:(\d+\.\d+)", "\n".join(lines)).group(1)
    oldest = re.search(r'rust-version = "(\d+\.\d+)"', cargo).group(1)
    claim([*map(int, used.split("."))] >= [*map(int, oldest.split("."))], f"Dockerfile: Rust {used} is older than {oldest}")


def main(paths):
    twins()
    compose()
    image()
    if all(Path(path).parent == ROOT / "deploy/kubernetes/base" for path in map(Path.resolve, map(Path, paths))):
        Manifests("base", paths).check()
    else:
        for path in paths:
            Manifests(Path(path).stem, [path]).check()
    for problem in dict.fromkeys(problems):
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
