package floor

import (
	"context"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fleetfold/fleetfold/pkg/events"
)

// Bus is a connection of the bare client.
type Bus struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// Connect connects to a server in this process.
func Connect(server interface{ InProcessConn() (net.Conn, error) }) (*Bus, error) {
	nc, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		return nil, fmt.Errorf("connect the bare client: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("use jetstream bare: %w", err)
	}
	return &Bus{nc: nc, js: js}, nil
}

// Close ends the connection.
func (b *Bus) Close() { b.nc.Close() }

// Stream makes a stream as the fleet's log is one, for all subjects below name.
func (b *Bus) Stream(ctx context.Context, name string) error {
	return b.StreamFrom(ctx, name, 0, name+".>")
}

// StreamFrom makes one for those subjects that begins at a sequence, as if there
// had been others before; 0 means at the first.
func (b *Bus) StreamFrom(ctx context.Context, name string, first uint64, subjects ...string) error {
	_, err := b.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Subjects: subjects, Storage: jetstream.FileStorage, FirstSeq: first,
		Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true, AllowAtomicPublish: true, AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("make stream %s: %w", name, err)
	}
	return nil
}

// message is one of the same size on another subject.
func message(subject string, like events.Message) *nats.Msg {
	header := make(nats.Header, len(like.Header))
	for k, v := range like.Header {
		header[k] = v
	}
	return &nats.Msg{Subject: subject, Header: header, Data: like.Data}
}
