# A worker for servers of your own (docs/operations.md):
#   docker build -t workbench .
#   docker run --env-file worker.env workbench
# The same image runs single flows for Prefect's docker and kubernetes pools.

FROM python:3.11-slim

# Reaps the processes that runs leave behind, and passes signals on.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

COPY . /src
# Packages for outputs on object stores are given here: --build-arg EXTRAS="s3fs".
ARG EXTRAS=""
RUN pip install --no-cache-dir --constraint /src/requirements/prefect-3.4.14.txt "/src[sources]" ${EXTRAS} \
    && rm -rf /src

RUN useradd --create-home --uid 1000 worker
USER worker
WORKDIR /home/worker
# Nothing in it has to outlive the container.
ENV WORKBENCH_HOME=/home/worker/workbench

ENTRYPOINT ["tini", "--"]
CMD ["workbench", "worker"]
