package eventlog

import (
	"context"
	"errors"
)

// AwaitServer connects as Connect does, waits for a server that cannot be reached,
// and begins to work with it; begin is tried again with a new connection when the
// server goes away meanwhile. waiting hears of the first failure. What another try
// would only repeat, such as settings that are not usable or credentials that the
// server refuses, is returned at once; so is the end of ctx.
func AwaitServer(ctx context.Context, o Options, begin func(context.Context, *Bus) error, waiting func(error)) (*Bus, error) {
	for tries := 1; ; tries++ {
		b, err := Connect(ctx, o)
		away := false
		if err == nil {
			if err = begin(ctx, b); err == nil {
				return b, nil
			}
			away = !b.Connected() // whatever the error says of it
			b.Close()
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !away && !errors.Is(err, ErrUnreachable):
			return nil, err
		case tries == 1:
			waiting(err)
		}
		if err := wait(ctx, reconnectDelay(tries)); err != nil {
			return nil, err
		}
	}
}
