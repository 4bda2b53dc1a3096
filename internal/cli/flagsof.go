package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
)

// NATSFlagsOf reads the connection flags of a command from its flag set, and from
// the environment what was not typed: for shells that ask what comes next, before
// the command runs.
func NATSFlagsOf(cmd *cobra.Command) (*NATSFlags, error) {
	flags := cmd.Flags()
	if flags.Lookup("nats") == nil || flags.Lookup("prefix") == nil {
		return nil, errors.New("the command has no connection")
	}
	if err := applyEnv(cmd); err != nil {
		return nil, err
	}
	value := func(name string) string {
		if f := flags.Lookup(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	return &NATSFlags{
		URL: value("nats"), Context: value("context"), Creds: value("creds"), Prefix: value("prefix"), Identity: value("identity"),
		TLS:   eventlog.TLSFiles{Cert: value("tlscert"), Key: value("tlskey"), CA: value("tlsca")},
		flags: flags,
	}, nil
}
