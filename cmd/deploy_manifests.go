package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/p2pfaas/p2pfaas/realnet"
	"github.com/p2pfaas/p2pfaas/realnet/deploy"
)

// manifestsFlags are the flags of deploy manifests.
type manifestsFlags struct {
	deployFlags
	system string
	image  string
	init   []string
	out    string

	functions []deploy.Container     // of each machine of a fleet
	built     []deploy.FunctionImage // images that are made from directories
}

// systems are those that manifests are written for.
var systems = []string{"compose", "kubernetes", "balena"}

func newDeployManifests() *cobra.Command {
	var f manifestsFlags
	c := &cobra.Command{
		Use:   "manifests SCENARIO",
		Short: "write the files by which another system deploys a scenario: compose, Kubernetes, balena",
		Long: `manifests writes what another system needs to deploy a scenario, and deploys nothing. The machines of Kubernetes (a DaemonSet and a headless
Service) and of a balena fleet are all alike: what a scenario asks for that equal machines cannot do is refused by name. Images come from
a registry that they reach (p2pfaas image --layout makes them), or are built from compose/Dockerfile.`,
		Example: `  p2pfaas deploy manifests my.yaml --for kubernetes --image 'example.org/p2pfaas/{kind}:1.0' --out manifests
  p2pfaas deploy manifests my.yaml --for balena --image 'example.org/p2pfaas/{kind}:1.0' --init-servers 192.168.1.11 --out fleet`,
		Args:              wants(1, 1, "one scenario"),
		ValidArgsFunction: completeScenario,
		RunE:              func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.scenarioFlags.add(c)
	fl := c.Flags()
	fl.StringVar(&f.system, "for", "", strings.Join(systems, ", "))
	fl.StringVar(&f.image, "image", "p2pfaas/{kind}:latest", "where images of this program come from; {kind} is node, sleep, loop or face-detect")
	fl.StringSliceVar(&f.init, "init-servers", nil, "of balena: addresses or names of machines to find the others by (default the fleet's variable "+
		"P2PFAAS_NODE_INIT_SERVERS)")
	fl.StringVar(&f.name, "name", "", "name of the deployment (default the scenario's)")
	fl.StringVar(&f.subnet, "subnet", "", "addresses of containers of compose, as 10.50.0.0/24 (default one of 10.213.0.0/16)")
	fl.StringVar(&f.out, "out", "manifests", "directory to write to, which must not be there")
	completeFlag(c, "for", systems...)
	return c
}

func (f *manifestsFlags) run(c *cobra.Command, path string) error {
	f.target = string(deploy.TargetCompose)
	err := f.check(c, path)
	if !slices.Contains(systems, f.system) {
		err = errors.Join(err, fmt.Errorf("--for %s: write one of %s", f.system, strings.Join(systems, ", ")))
	}
	if f.point != nil {
		err = errors.Join(err, realnet.RefuseFaults(f.points[0].Scenario, "what manifests are for"))
	}
	if f.system != "balena" && len(f.init) > 0 {
		err = errors.Join(err, errors.New("--init-servers is for balena: leave it out"))
	}
	if !strings.Contains(f.image, "{kind}") {
		err = errors.Join(err, fmt.Errorf("--image %s: write {kind} where node, sleep, loop or face-detect goes", f.image))
	}
	if _, there := os.Stat(f.out); there == nil {
		err = errors.Join(err, fmt.Errorf("--out %s: it is there already: remove it, or name another directory", f.out))
	}
	if err != nil {
		return input(err)
	}
	files, err := f.manifests(path)
	if err != nil {
		return input(err)
	}
	for name, text := range files {
		to, mode := filepath.Join(f.out, filepath.FromSlash(name)), os.FileMode(0o666)
		if name == deploy.SecretManifest {
			mode = 0o600
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o777), os.WriteFile(to, text, mode)); err != nil {
			return err
		}
	}
	switch f.system {
	case "compose":
		err = deploy.WriteToken(f.out, f.token)
	case "balena":
		err = os.WriteFile(filepath.Join(f.out, "token"), []byte(f.token+"\n"), 0o600)
	}
	if err != nil {
		return err
	}
	if f.system == "balena" {
		if err := f.copyBuilds(); err != nil {
			return err
		}
	}
	next := map[string]string{"compose": "docker compose up --detach, there", "kubernetes": "kubectl apply --filename " + f.out,
		"balena": "balena push FLEET --source " + f.out}[f.system]
	fmt.Fprintf(c.ErrOrStderr(), "%s: %s\nnext: %s\n", f.out, count(len(files), "file"), next)
	return nil
}

// copyBuilds copies the directories of functions that balena builds.
func (f *manifestsFlags) copyBuilds() error {
	for _, x := range f.built {
		for _, c := range f.functions {
			if c.Image != x.Tag {
				continue
			}
			if err := os.CopyFS(filepath.Join(f.out, "build", c.Function), os.DirFS(x.Dir)); err != nil {
				return fmt.Errorf("copying the function %s: %w", c.Function, err)
			}
		}
	}
	return nil
}

// manifests are the files, by their paths.
func (f *manifestsFlags) manifests(path string) (map[string][]byte, error) {
	files, err := f.file.Bundle()
	if err != nil {
		return nil, err
	}
	of := func(kind string) string { return strings.ReplaceAll(f.image, "{kind}", kind) }
	f.token = realnet.NewToken()
	d := &deploy.Deployment{Name: f.name, Scenario: path, Dir: f.out, Content: deploy.ContentOf(files)}
	if d.Plan, err = f.plan(d, func(_ int, kind string) string { return of(kind) }); err != nil {
		return nil, err
	}
	f.functions = d.Plan.Nodes[0].Containers[1:]
	for _, i := range d.Plan.Images {
		if i.Dir != "" {
			f.built = append(f.built, i)
		}
	}
	fleet := deploy.Fleet{Scenario: f.point.Scenario, Files: files, Image: of, InitServers: f.init, Token: f.token}
	switch f.system {
	case "kubernetes":
		return d.Plan.Kubernetes(fleet)
	case "balena":
		return d.Plan.Balena(fleet)
	}
	text, err := d.Plan.Compose()
	all := map[string][]byte{"compose.yaml": text}
	for name, content := range files {
		all[filepath.Base(d.ScenarioDir())+"/"+name] = content
	}
	return all, err
}
