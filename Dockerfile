# syntax=docker/dockerfile:1

# The worker, on glibc: the Temporal SDK's native core is not built for musl.
FROM node:24-bookworm-slim AS base
WORKDIR /app
COPY package.json package-lock.json ./

# Bundles the workflows with the same versions as the worker has and builds the engine's kernel; the compilers that this
# takes stay here. Install scripts are left out: they fetch a Node of the version that a clone wants, and the image has
# its own.
FROM base AS bundle
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/build-kernel.mjs && node worker/bundle.ts

# Without the optional packages too: the compiler's, and the PostgreSQL of a machine that has none.
FROM base AS worker
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && npm cache clean --force
COPY . .
COPY --from=bundle /app/build/workflow-bundle.js /app/build/kernel.wasm build/
# glibc hands back what large arrays took, as for the workers of a local stack.
ENV MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=131072
# What ledger and models say computed them; the package's version where it is not given.
ARG NIGHTJAR_CODE_VERSION=
ENV NODE_ENV=production \
    NIGHTJAR_WORKFLOW_BUNDLE=/app/build/workflow-bundle.js \
    NIGHTJAR_CODE_VERSION=${NIGHTJAR_CODE_VERSION}
# The user node of the image: not root, and nothing in /app is its own: the worker writes to PostgreSQL and standard output only.
USER 1000
STOPSIGNAL SIGTERM
# Asks the server whether this container polls; a night is not disturbed by it.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=2 CMD ["node", "worker/health.ts"]
CMD ["node", "worker/main.ts"]
