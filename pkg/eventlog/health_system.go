package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// systemPing reaches every server, if the account may say it.
	systemPing = "$SYS.REQ.SERVER.PING.VARZ"
	// systemQuiet ends the wait for further servers: nobody says how many there are.
	systemQuiet = 500 * time.Millisecond
)

// ErrNoSystem means that the connection's account may not ask the servers.
var ErrNoSystem = errors.New("the account is not allowed to ask the servers")

// AskServers asks every server through the system account. Few connections may:
// the others get ErrNoSystem, at once or after half a second.
func (b *Bus) AskServers(ctx context.Context) ([]ServerHealth, error) {
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ask servers: %w", plain(err))
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only where the connection has ended
	if err := b.nc.PublishRequest(systemPing, inbox, nil); err != nil {
		return nil, fmt.Errorf("ask servers: %w", plain(err))
	}
	var all []ServerHealth
	for {
		once, cancel := context.WithTimeout(ctx, systemQuiet)
		m, err := sub.NextMsgWithContext(once)
		cancel()
		switch {
		case err == nil:
		case errors.Is(err, nats.ErrNoResponders), len(all) == 0:
			return nil, fmt.Errorf("ask servers: %w: %w", ErrNoSystem, plain(err))
		default:
			return all, nil
		}
		var answer struct{ Data varz }
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return nil, fmt.Errorf("read answer of a server: %w", err)
		}
		all = append(all, answer.Data.health())
	}
}
