# ferd in a container: docs/install.md, section "Container".
#   docker build -t ferd .
#   docker build -t ferd --platform linux/arm64 .              another architecture: amd64 or arm64
#   docker build -t ferd --build-arg EXTRAS=pi,video,web .     with RTSP and video files, 110 MB more
#   docker build -t ferd --build-arg MORE="matplotlib<4" .     with more Python packages
# Debian 12, because lgpio (the buzzer's pins) has wheels for its Python 3.11 and no package in Debian 13.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
ARG EXTRAS=pi,web
ARG MORE=""
RUN apt-get update -q && apt-get install -qy --no-install-recommends python3-venv
COPY LICENSE README.md pyproject.toml /source/
COPY models /source/models
COPY systemd /source/systemd
COPY ferd /source/ferd
RUN python3 -m venv /opt/python \
 && /opt/python/bin/pip install --disable-pip-version-check "/source[${EXTRAS}]" ${MORE}
# Removed: what ferd never loads. The packages' own tests and headers, accelerators of LiteRT, other cascades, the
# languages that pygments can colour, pip. The last line loads every model and the page without them.
RUN cd /opt/python/lib/python3*/site-packages \
 && rm -rf pip pip-* setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth /opt/python/bin/pip* \
    ai_edge_litert/libLiteRtWebGpuAccelerator.so ai_edge_litert/vendors ai_edge_litert/tools google/protobuf \
    numpy/f2py numpy/distutils pygments/lexers/__pycache__ \
 && find . -type d \( -name tests -o -name include \) -prune -exec rm -rf {} + \
 && find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' \) -delete \
 && find cv2/data -name '*.xml' ! -name haarcascade_frontalface_default.xml -delete \
 && find pygments/lexers -name '[a-z]*.py' -delete \
 && touch /opt/python/ferd-image \
 && FERD_DETECTOR__KIND=haar /opt/python/bin/ferd check && /opt/python/bin/ferd check \
 && /opt/python/bin/python -c 'import ferd.outputs.web.app, ferd.outputs.terminal, rich.live'

FROM ${BASE} AS ferd
# /etc/machine-id: the identity towards Home Assistant stays with the volume, where container-start writes it.
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/cache/debconf/*-old \
    /usr/lib/python3*/pydoc_data /usr/lib/python3*/test /usr/lib/python3*/lib2to3 \
 && useradd --uid 1000 --groups video --home-dir /var/lib/ferd --no-create-home --shell /usr/sbin/nologin ferd \
 && install -d -o ferd -g ferd /var/lib/ferd /run/ferd \
 && install -d /etc/ferd \
 && printf '%s\n' '# ferd in a container, as the image has it. Mount a file of your own here.' '[node]' 'name = "ferd"' '' \
    '# The health check asks the page. Nobody outside the container reaches 127.0.0.1.' '[web]' 'enabled = true' \
    > /etc/ferd/ferd.toml \
 && ln -sf /var/lib/ferd/machine-id /etc/machine-id
COPY --from=build /opt/python /opt/python
COPY scripts/lib/container-start /usr/local/bin/container-start
ENV PATH=/opt/python/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    RUNTIME_DIRECTORY=/run/ferd \
    STATE_DIRECTORY=/var/lib/ferd
USER ferd
WORKDIR /var/lib/ferd
VOLUME /var/lib/ferd
EXPOSE 8322
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-m", "ferd.healthcheck"]
STOPSIGNAL SIGTERM
# tini: the first process of a container ignores SIGTERM until it has set a handler of its own.
ENTRYPOINT ["tini", "--", "container-start"]
CMD ["run"]
