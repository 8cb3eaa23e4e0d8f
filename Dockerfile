# The worker and the watchdog for compose sites, with the tools that they run. glibc: Temporal's core has no musl build.
FROM node:22-bookworm AS build
WORKDIR /opt/holdfast
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM docker:28-cli AS docker

FROM node:22-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      acl age attr ca-certificates openssh-client procps restic rsync sqlite3 tar util-linux zstd \
 && rm -rf /var/lib/apt/lists/*
COPY --from=docker /usr/local/bin/docker /usr/local/bin/docker
COPY --from=docker /usr/local/libexec/docker/cli-plugins/docker-compose /usr/local/libexec/docker/cli-plugins/docker-compose
WORKDIR /opt/holdfast
COPY --from=build /opt/holdfast/package.json ./
COPY --from=build /opt/holdfast/node_modules ./node_modules
COPY --from=build /opt/holdfast/dist ./dist
ENV NODE_ENV=production
ENTRYPOINT ["node", "/opt/holdfast/dist/src/cli/main.js"]
CMD ["worker"]
