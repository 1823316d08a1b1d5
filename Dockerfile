# One image per command; each holds one static binary and nothing to run beside it:
#
#   docker build --build-arg COMMAND=controller -t registry.example.com/vestibule/controller:v1.2.3 .
#   docker build --build-arg COMMAND=gateway -t registry.example.com/vestibule/gateway:v1.2.3 .
#
# devidp and weather are for trying it out. hack/image.sh gives the same content to
# who has no container engine.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY gateway gateway
ARG COMMAND TARGETOS TARGETARCH VERSION=development
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
	go build -trimpath -ldflags="-s -w -X vestibule.dev/vestibule/gateway/version.Version=$VERSION" \
	-o /command "./cmd/${COMMAND:?name it with --build-arg COMMAND=}"

FROM scratch
# The gateway trusts identity providers by the roots of the build's base image.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /command /command
USER 65532:65532
ENTRYPOINT ["/command"]
