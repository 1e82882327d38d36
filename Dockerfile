# syntax=docker/dockerfile:1
# Every process of the production set-up is this one image with another command. Build arguments:
#   EXTRAS    optional parts of pyproject.toml; `whisper` brings the local speech engine, without it the image is 0.4 GB smaller
#   PACKAGES  further packages; for NVIDIA GPUs "nvidia-cublas-cu12 nvidia-cudnn-cu12==9.*"
FROM python:3.13.16-slim-bookworm AS build
ARG EXTRAS=postgres,redis,sqs,whisper,fast
ARG PACKAGES=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python -m venv /opt/callwise
COPY deploy/constraints.txt deploy/constraints.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY calls calls
COPY engines engines
COPY crm crm
COPY ingest ingest
COPY analytics analytics
COPY runtime runtime
COPY workers workers
COPY web web
COPY cli cli
COPY samples samples
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/callwise/bin/pip install -c deploy/constraints.txt ".[${EXTRAS}]" ${PACKAGES}

FROM python:3.13.16-slim-bookworm
# libgomp1 is what scikit-learn and CTranslate2 compute with.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/callwise --shell /usr/sbin/nologin callwise
COPY --from=build /opt/callwise /opt/callwise
COPY deploy/prepare_bucket.py deploy/is_alive.py /opt/callwise/deploy/
ENV PATH=/opt/callwise/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CALLWISE_HOME=/var/lib/callwise \
    HF_HOME=/var/lib/callwise/models \
    LD_LIBRARY_PATH=/opt/callwise/lib/python3.13/site-packages/nvidia/cublas/lib:/opt/callwise/lib/python3.13/site-packages/nvidia/cudnn/lib
USER callwise
WORKDIR /var/lib/callwise
VOLUME /var/lib/callwise
EXPOSE 8321
# For the processes that write signs of life; the web service has a check of its own in docker-compose.yml.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["python", "/opt/callwise/deploy/is_alive.py"]
ENTRYPOINT ["callwise"]
CMD ["web"]
