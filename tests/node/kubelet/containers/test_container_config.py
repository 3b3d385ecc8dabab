from podling.node.cripb import api_pb2 as cri
from podling.node.kubelet.containers import container_config
from podling.node.kubelet.containers.container_config import DnsDefaults
from tests.node.kubelet.builders import UID, container_spec, pod

DNS = DnsDefaults(("127.9.64.1",))


def test_a_sandbox_carries_the_pod_s_identity_and_its_logs_place() -> None:
    config = container_config.sandbox(pod(), 2, "/logs/x", DNS)
    assert (config.metadata.name, config.metadata.namespace) == ("web", "default")
    assert (config.metadata.uid, config.metadata.attempt) == (UID, 2)
    assert config.hostname == "web"
    assert config.log_directory == "/logs/x"
    assert config.labels["io.kubernetes.pod.uid"] == UID
    assert config.labels["app"] == "web"


def test_names_are_looked_up_in_the_cluster_first() -> None:
    dns = container_config.dns_config(pod(), DNS)
    assert list(dns.servers) == ["127.9.64.1"]
    assert list(dns.searches) == ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    assert list(dns.options) == ["ndots:5"]


def test_dns_policies_and_own_settings_are_kept() -> None:
    assert container_config.dns_config(pod(dnsPolicy="Default"), DNS) == cri.DNSConfig()
    own = {
        "nameservers": ["127.9.64.1", "10.0.0.1"],
        "searches": ["corp"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
    }
    dns = container_config.dns_config(pod(dnsConfig=own), DNS)
    assert list(dns.servers) == ["127.9.64.1", "10.0.0.1"]
    assert dns.searches[-1] == "corp"
    assert list(dns.options) == ["ndots:2", "rotate"]
    none = container_config.dns_config(pod(dnsPolicy="None", dnsConfig=own), DNS)
    assert list(none.searches) == ["corp"]


def test_a_pod_on_the_host_s_network_looks_up_as_the_host_does() -> None:
    assert container_config.dns_config(pod(hostNetwork=True), DNS) == cri.DNSConfig()
    config = container_config.sandbox(pod(hostNetwork=True), 0, "/l", DNS)
    assert config.linux.security_context.namespace_options.network == cri.NODE


def test_a_container_is_told_its_command_environment_and_log() -> None:
    spec = container_spec(
        command=["serve", "--bind=$(POD_IP)"], args=["$(X)", "$$(X)"], workingDir="/tmp"
    )
    values = {"POD_IP": "127.9.64.2", "X": "1"}
    mount = cri.Mount(container_path="/data", host_path="/host")
    config = container_config.container(pod(spec), spec, 3, values, [mount])
    assert list(config.command) == ["serve", "--bind=127.9.64.2"]
    assert list(config.args) == ["1", "$(X)"]
    assert config.working_dir == "/tmp"
    assert {env.key: env.value for env in config.envs} == values
    assert config.log_path == "app/3.log"
    assert config.metadata.attempt == 3
    assert config.labels["io.kubernetes.container.name"] == "app"
    assert config.image.image == "app:1"
    assert list(config.mounts) == [mount]


def test_resources_become_shares_quota_and_bytes() -> None:
    resources = {"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m", "memory": "64Mi"}}
    spec = container_spec(resources=resources)
    linux = container_config.container(pod(spec), spec, 0, {}, []).linux.resources
    assert linux.cpu_shares == 256
    assert (linux.cpu_quota, linux.cpu_period) == (150_000, 100_000)
    assert linux.memory_limit_in_bytes == 64 * 1024 * 1024


def test_the_pull_policy_is_defaulted_by_the_image_s_tag() -> None:
    cases = {
        "app": "Always",
        "app:latest": "Always",
        "app:1": "IfNotPresent",
        "registry:5000/app": "Always",
        "registry:5000/app:1": "IfNotPresent",
        "app@sha256:0123": "IfNotPresent",
    }
    for image, expected in cases.items():
        assert container_config.pull_policy(container_spec(image=image)) == expected, image
    assert container_config.pull_policy(container_spec(imagePullPolicy="Never")) == "Never"


def test_name_servers_at_another_port_than_53_cannot_be_named() -> None:
    high = DnsDefaults(("127.9.64.1",), port=1053)
    assert container_config.dns_config(pod(), high) == cri.DNSConfig()
