# One image with all four programs; a service says which one it runs.
#
#   docker build -t fleetfold .
#   docker run --rm fleetfold fleetfold --help

FROM golang:1.26 AS builder
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The same command as `make build`; a test holds them together.
RUN CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...
# A named volume takes its owner from the folder it is first mounted on, and
# the final image has no shell to make one.
RUN mkdir -p /rootfs/var/lib/fleetfold

FROM gcr.io/distroless/static:nonroot
COPY --from=builder /src/bin/fleetfold /src/bin/planner /src/bin/executor /src/bin/node-agent /usr/local/bin/
COPY --from=builder --chown=nonroot:nonroot --chmod=0700 /rootfs/var/lib/fleetfold /var/lib/fleetfold
USER nonroot
CMD ["fleetfold", "--help"]
