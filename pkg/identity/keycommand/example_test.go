package keycommand_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/identity/keycommand"
)

// This test binary plays the program; with a real one it would be, say,
// []string{"/usr/local/bin/hsm-client", "--slot", "2"}.
func Example() {
	os.Setenv("KEYCOMMAND_TEST_BEHAVIOUR", "well")
	defer os.Unsetenv("KEYCOMMAND_TEST_BEHAVIOUR")
	self, _ := os.Executable()
	dir, err := os.MkdirTemp("", "ca")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	signer, err := keycommand.Open(context.Background(), []string{self, filepath.Join(dir, "module.key")}, time.Minute)
	if err != nil {
		panic(err)
	}
	_, created, err := identity.OpenCA(identity.CAConfig{Dir: dir, TrustDomain: "fleet.example", Signer: signer}, time.Now())
	fmt.Println("root made:", created, err)
	_, err = os.Stat(filepath.Join(dir, "ca.key"))
	fmt.Println("key in the folder:", err == nil)
	// Output:
	// root made: true <nil>
	// key in the folder: false
}
