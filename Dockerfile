# docker build -t polygan . && docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/work" polygan doctor
FROM python:3.12-slim

WORKDIR /opt/polygan
COPY pyproject.toml PYPI.md LICENSE CHANGELOG.md constraints.txt ./
COPY core core
COPY plugins plugins
RUN pip install --no-cache-dir -c constraints.txt . "./plugins/image[digits]" ./plugins/audio ./plugins/text ./plugins/speech ./plugins/hub ./plugins/demo ./plugins/web

ENV HOME=/tmp POLYGAN_CACHE=/cache
RUN mkdir -m 777 /cache
VOLUME /cache
WORKDIR /work
ENTRYPOINT ["polygan"]
CMD ["--help"]
