"""Packaging of Lighthouse.

``workers/`` and ``ipc/`` are top-level folders of the repository that install as ``lighthouse.workers`` and ``lighthouse.ipc``:
modules called ``workers`` and ``ipc`` in site-packages would collide with those of other distributions.
"""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = {}
exec((here / "lighthouse" / "version.py").read_text(), version)

packages = find_packages(".", include=["lighthouse", "lighthouse.*"])

setup(
    name="lighthouse",
    version=version["__version__"],
    description="Keeps each host's HAProxy right: checks, announces, watches and balances services.",
    long_description=(here / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*packages, "lighthouse.workers", "lighthouse.ipc"],
    package_dir={"lighthouse": "lighthouse", "lighthouse.workers": "workers", "lighthouse.ipc": "ipc"},
    package_data={"lighthouse": ["py.typed"]},
    install_requires=[
        "click>=8.1",
        "inotify-simple>=1.3.5",
        "kazoo>=2.11",
        "msgpack>=1.0.7",
        "psutil>=5.9",
        "pydantic>=2.7",
        "pyyaml>=6.0",
        "rich>=13.7",
        "setproctitle>=1.3.3",
    ],
    extras_require={
        "grpc": ["grpcio>=1.60", "grpcio-health-checking>=1.60"],
        "redis": ["redis>=8"],
        "testing": ["pytest>=8"],
        "sasl": ["pure-sasl>=0.6"],
        "test": [
            "build",
            "coverage",
            "grpcio>=1.60",
            "grpcio-health-checking>=1.60",
            "hypothesis",
            "pure-sasl>=0.6",
            "pytest>=8",
            "pytest-timeout",
            "redis>=8",
        ],
        "lint": ["mypy>=1.11", "ruff>=0.6", "types-psutil", "types-PyYAML"],
    },
    entry_points={
        "console_scripts": [
            "lighthouse = lighthouse.cli.main:main",
            "lighthouse-supervisor = lighthouse.cli.main:supervisor",
            "lighthouse-writer = lighthouse.cli.main:writer",
            "lighthouse-reporter = lighthouse.cli.main:reporter",
        ],
        "lighthouse.balancers": ["haproxy = lighthouse.haproxy.balancer:HAProxy"],
        "lighthouse.discovery": [
            "directory = lighthouse.directory.discovery:DirectoryDiscovery",
            "zookeeper = lighthouse.zookeeper:ZookeeperDiscovery",
        ],
        "lighthouse.checks": [
            "exec = lighthouse.checks.exec:ExecCheck",
            "grpc = lighthouse.checks.grpc:GRPCCheck",
            "http = lighthouse.checks.http:HTTPCheck",
            "redis = lighthouse.checks.redis:RedisCheck",
            "tcp = lighthouse.checks.tcp:TCPCheck",
        ],
    },
)
