package executorcmd

import (
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/fleetfold/fleetfold/internal/cli"
	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// attestFlags say how nodes show who they are.
type attestFlags struct {
	ca, plugin    string
	pluginTimeout time.Duration
}

func (f *attestFlags) addTo(fs *pflag.FlagSet) {
	fs.StringVar(&f.ca, "attest-ca", "", "`FILE` of the CA certificates that the client certificates of nodes chain to (attestor mtls-cert); read anew for each node")
	fs.StringVar(&f.plugin, "attest-plugin", "", "`COMMAND` with its arguments, split at white space, that attests nodes (attestor node-plugin), such as 'fleetfold token verify'")
	fs.DurationVar(&f.pluginTimeout, "attest-plugin-timeout", attest.DefaultPluginTimeout, "`DURATION` that the plugin may take, above 0")
}

// asksForTokens says whether the plugin is 'fleetfold token verify', by whatever
// path and with whatever flags. Executors with another plugin have no business
// with tokens, and need no rights for them.
func (f *attestFlags) asksForTokens() bool {
	words := strings.Fields(f.plugin)
	at := slices.Index(words, "token")
	return at > 0 && at+1 < len(words) && words[at+1] == "verify"
}

// verifiers are those that the flags name. Where this executor brings up the
// nodes itself, it also vouches for them, by an authority in dir.
func (f *attestFlags) verifiers(local bool, dir string, logger zerolog.Logger) (attest.Verifiers, *attest.Local, error) {
	v := attest.Verifiers{}
	var vouches *attest.Local
	if local {
		var err error
		if vouches, err = attest.OpenLocal(dir, nil); err != nil {
			return nil, nil, err
		}
		v = vouches.Verifiers()
	}
	if f.ca != "" {
		authority := attest.CertificateAuthority{File: f.ca}
		if err := authority.Check(); err != nil {
			return nil, nil, cli.WithHint(err, "name a file of PEM certificates with --attest-ca")
		}
		v[fleet.AttestorMTLSCert] = authority
	}
	if command := strings.Fields(f.plugin); len(command) > 0 {
		v[fleet.AttestorNodePlugin] = attest.Plugin{Command: command, Timeout: f.pluginTimeout}
	}
	for _, kind := range []fleet.Attestor{fleet.AttestorMTLSCert, fleet.AttestorNodePlugin} {
		if v[kind] == nil {
			logger.Warn().Str(field.Attestor, string(kind)).Msg("no way to attest nodes of this kind: none of them will get a credential from this executor")
		}
	}
	return v, vouches, nil
}
