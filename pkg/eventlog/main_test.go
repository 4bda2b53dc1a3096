package eventlog

import (
	"fmt"
	"os"
	"testing"

	"github.com/fleetfold/fleetfold/internal/leak"
)

func TestMain(m *testing.M) {
	if options := os.Getenv(serverEnv); options != "" {
		if err := beServer(options); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}
