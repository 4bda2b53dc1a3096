package executorcmd

import (
	"context"
	"crypto"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/identity/keycommand"
	"github.com/fleetfold/fleetfold/pkg/view"
)

// caFlags say who signs for the root, and who else is told whom to trust.
type caFlags struct {
	keyCommands []string
	keyTimeout  time.Duration
	trustDir    string
}

func (f *caFlags) addTo(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.keyCommands, "ca-key-command", nil, "`COMMAND` with its arguments, split at white space, that signs for the root in place of a key file; while the root is rotated given twice, the old key's and the new key's")
	fs.DurationVar(&f.keyTimeout, "ca-key-timeout", keycommand.DefaultTimeout, "`DURATION` that one signature by the command may take, above 0")
	fs.StringVar(&f.trustDir, "trust-dir", "", "`DIR` that trust bundle (bundle.json, bundle.pem), revocation lists (crl.pem of all issuers, crl.der of the root, crl-KEYID.der of each) and posture (posture.json) are written to, for others; empty means none")
}

func (f *caFlags) check() error {
	if f.keyTimeout <= 0 {
		return cli.Usagef("--ca-key-timeout is %s, must be above 0", f.keyTimeout)
	}
	return nil
}

func (f *caFlags) signers(ctx context.Context) ([]crypto.Signer, error) {
	var all []crypto.Signer
	for _, command := range f.keyCommands {
		argv := strings.Fields(command)
		if len(argv) == 0 {
			continue // an empty variable of the environment
		}
		s, err := keycommand.Open(ctx, argv, f.keyTimeout)
		if err != nil {
			return nil, cli.WithHint(err, "the program of --ca-key-command is called with 'public-key' and with 'sign'")
		}
		all = append(all, s)
	}
	return all, nil
}

// publish rotates issuers and publishes trust until ctx ends.
func (f *caFlags) publish(ctx context.Context, bus *eventlog.Bus, v *view.View, issuers *authority.Issuers) error {
	if err := v.CatchUp(ctx); err != nil {
		return err
	}
	publisher := &authority.Publisher{Issuers: issuers, Bus: bus, Dir: f.trustDir}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return issuers.Run(ctx, v) })
	g.Go(func() error { return publisher.Run(ctx, v) })
	return g.Wait()
}
