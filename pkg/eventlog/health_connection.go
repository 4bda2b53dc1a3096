package eventlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ServerVersion of the server the bus is connected to.
func (b *Bus) ServerVersion() string { return b.nc.ConnectedServerVersion() }

// ServerName of the server the bus is connected to.
func (b *Bus) ServerName() string { return b.nc.ConnectedServerName() }

// RTT is how long the server takes to answer a ping.
func (b *Bus) RTT() (time.Duration, error) {
	d, err := b.nc.RTT()
	return d, plain(err)
}

// clockAsks is how often the clock is asked for: the fastest answer says most.
const clockAsks = 3

// ClockSkew is how far the server's clock is ahead of now, which is the caller's.
// The truth lies no further from it than within: half of the time that the
// answer took. The stream of the log must exist.
func (b *Bus) ClockSkew(ctx context.Context, now func() time.Time) (skew, within time.Duration, err error) {
	ctx, cancel := question(ctx)
	defer cancel()
	for i := range clockAsks {
		began, sent := now(), time.Now()
		var s jetstream.Stream
		err := b.whileAllowed(ctx, "STREAM.INFO."+b.logStream(), func(ctx context.Context) (err error) {
			s, err = b.js.Stream(ctx, b.logStream())
			return err
		})
		if err != nil {
			return 0, 0, fmt.Errorf("ask server for its time: %w", plain(err))
		}
		half := time.Since(sent) / 2
		if i == 0 || half < within {
			skew, within = s.CachedInfo().TimeStamp.Sub(began.Add(half)), half
		}
	}
	return skew, within, nil
}

// AccountLimits are the limits of the account that end, and how much is used.
func (b *Bus) AccountLimits(ctx context.Context) ([]Limit, error) {
	ctx, cancel := question(ctx)
	defer cancel()
	var info *jetstream.AccountInfo
	err := b.whileAllowed(ctx, "INFO", func(ctx context.Context) (err error) {
		info, err = b.js.AccountInfo(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the account's limits: %w", plain(err))
	}
	all := tierLimits(nil, "the account", info.Tier)
	for _, name := range slices.Sorted(maps.Keys(info.Tiers)) {
		all = tierLimits(all, "the account's tier "+name, info.Tiers[name])
	}
	return all, nil
}

func tierLimits(all []Limit, of string, t jetstream.Tier) []Limit {
	all = limits(all, "memory of "+of, t.Memory, t.Limits.MaxMemory, "bytes")
	all = limits(all, "storage of "+of, t.Store, t.Limits.MaxStore, "bytes")
	all = limits(all, "streams of "+of, uint64(max(t.Streams, 0)), int64(t.Limits.MaxStreams), "")
	return limits(all, "consumers of "+of, uint64(max(t.Consumers, 0)), int64(t.Limits.MaxConsumers), "")
}
