# The operator's image. Build it from the repository's root:
#
#   docker build -t spotkube:0.1.0 .
#
# It runs as a user without a name, needs no shell and no package manager, and writes to /tmp only, so that its root file
# system may be read-only.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src

RUN python -m venv /opt/spotkube
# First what changes seldom: exactly the locked files, by their hashes, and no source that would need a compiler.
COPY requirements/runtime.txt requirements/runtime.txt
RUN /opt/spotkube/bin/pip install --require-hashes --only-binary=:all: -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /opt/spotkube/bin/pip install --no-deps . \
    && /opt/spotkube/bin/pip uninstall --yes pip
# The planner is compiled here, where it takes minutes, and not in each pod. For no special processor: the nodes that
# the image will run on are not known.
RUN NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/spotkube/share/spotkube/numba PYTHONDONTWRITEBYTECODE=1 \
    /opt/spotkube/bin/python -c "from spotkube.planner.warmup import warm_up; warm_up()"

FROM python:3.13-slim
LABEL org.opencontainers.image.title="SpotKube" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nobody installs anything in a running operator.
RUN python -m pip uninstall --yes --root-user-action=ignore pip
COPY --from=build /opt/spotkube /opt/spotkube

# Output appears at once; no .pyc is written; the planner's compiled code goes where writing is allowed, first that which
# the image brings (operator/spotkube/planner/shipped.py).
ENV PATH=/opt/spotkube/bin:$PATH \
    HOME=/tmp \
    NUMBA_CPU_NAME=generic \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number: Kubernetes can tell only so that it is not root.
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["spotkube"]
CMD ["run"]
