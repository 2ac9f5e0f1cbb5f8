package main

// version is set when it is built.
var version = "dev"

// VersionCmd prints the version.
type VersionCmd struct{}

// Help gives an example.
func (*VersionCmd) Help() string { return example("patrol version") }

// Run prints it.
func (*VersionCmd) Run(cli *CLI) error {
	return cli.print(map[string]string{"version": version}, func(t *table) { t.row("patrol", version) })
}
