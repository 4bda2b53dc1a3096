package eventlog

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/fleetfold/fleetfold/pkg/natsd"
)

// publishUnreadable stores a message whose headers no client can read.
func publishUnreadable(t *testing.T, s *natsd.Server, subject string) {
	t.Helper()
	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	if _, err := lines.ReadString('\n'); err != nil { // the server speaks first
		t.Fatal(err)
	}
	header := "NATS/1.0\r\nno colon\r\n\r\n"
	fmt.Fprintf(conn, "CONNECT {\"headers\":true,\"verbose\":false,\"no_responders\":true}\r\nHPUB %s %d %d\r\n%s\r\nPING\r\n", subject, len(header), len(header), header)
	for {
		line, err := lines.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "-ERR") {
			t.Fatalf("publish: %q, %v", line, err)
		}
		if strings.HasPrefix(line, "PONG") {
			return
		}
	}
}

// Whoever may only ask directly reads each message in its place, whatever its
// writer has put beside what the server says.
func TestDirectReadersAreNotFooled(t *testing.T) {
	s := testServer(t, t.TempDir(), 0)
	writer, reader := testBus(t, s, Options{}), testBus(t, s, Options{NoConsumers: true}).Log()
	subject := writer.subjects.Prefix() + ".events.control"
	place := nats.Header{"Nats-Sequence": {"1"}, "Nats-Stream": {"OTHER"}, "Nats-Subject": {"fleet.events.trust"}, "Nats-Time-Stamp": {"1999-01-01T00:00:00Z"}, "Nats-Num-Pending": {"0"}}
	for n, header := range []nats.Header{
		nil, {"Status": {"404"}}, {"Status": {"503"}}, {"Status": {"204"}, "Description": {"EOB"}}, place, nil,
		{"Status": {"204"}, "Description": {"EOB"}, "Nats-Num-Pending": {"9"}, "Nats-Last-Sequence": {"9"}},
	} {
		want := uint64(n + 1)
		if header == nil {
			publishUnreadable(t, s, subject)
		} else {
			publish(t, writer, subject, header, "")
		}
		for ctx := patience(t); ; { // the connection that wrote it may be ahead of the stream
			last, err := reader.Last(ctx)
			if err != nil || last > want {
				t.Fatalf("after %d with %v the log ends at %d, %v", want, header, last, err)
			}
			if last == want {
				break
			}
		}
		if last, err := reader.LastOn(within(t), subject); err != nil || last != want {
			t.Errorf("after %d with %v the subject ends at %d, %v", want, header, last, err)
		}
		records, err := reader.Read(within(t), 0, 100)
		if err != nil || uint64(len(records)) != want {
			t.Fatalf("of %d messages %d can be read: %v", want, len(records), err)
		}
		last := records[n]
		if last.Sequence != want || last.Event != nil || header != nil && (last.Message.Subject != subject || last.Time.Year() < 2000) {
			t.Errorf("message %d with %v is read as %+v", want, header, last)
		}
	}
}
