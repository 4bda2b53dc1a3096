package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "man",
		Short: "Write the manual pages of all commands",
		Long: `Write the manual pages of all commands, one file each, into a folder. It is made if it
is missing; pages that are there are written anew. SOURCE_DATE_EPOCH sets their date.`,
		Example: `  fleetfold man --out ~/.local/share/man/man1
  man fleetfold-apply`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(out, 0o755); err != nil {
				return fmt.Errorf("make folder of manual pages: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // it would date each page once more
			if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "fleetfold " + root.Version, Manual: "Fleetfold"}, out); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "manual pages are in %s; 'man -l %s/fleetfold.1' shows the first\n", out, out)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "man", "`DIR` to write to")
	return cmd
}
