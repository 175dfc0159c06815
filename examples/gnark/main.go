// A prover and a verifier on the command line. They know nothing of tasks and virtual machines: files in, files out,
// and an exit code.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/logger"
)

const usage = `usage:
  chain setup DIR                                        make chain.pk and chain.vk
  chain tip SEED                                         where the seed's chain ends
  chain prove -key FILE -out FILE -seed-file FILE -tip N
  chain verify -key FILE -proof FILE -tip N              exit code 1: refused
`

func main() {
	logger.Disable()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	key := flags.String("key", "", "proving or verification key")
	out := flags.String("out", "", "where the proof goes")
	proof := flags.String("proof", "", "the proof")
	seedFile := flags.String("seed-file", "", "file with the secret seed")
	tip := flags.String("tip", "", "the chain's end")
	// It ends the process where it can't.
	_ = flags.Parse(args[1:])
	switch {
	case args[0] == "setup" && flags.NArg() == 1:
		return setup(flags.Arg(0))
	case args[0] == "tip" && flags.NArg() == 1:
		return printTip(flags.Arg(0))
	case args[0] == "prove" && flags.NArg() == 0:
		return prove(*key, *seedFile, *tip, *out)
	case args[0] == "verify" && flags.NArg() == 0:
		return verify(*key, *proof, *tip)
	}
	return fmt.Errorf("%s", usage)
}

// Whoever ran this could forge proofs: good for development alone.
func setup(dir string) error {
	system, err := compile()
	if err != nil {
		return err
	}
	provingKey, verifyingKey, err := groth16.Setup(system)
	if err != nil {
		return err
	}
	// Without compression: ten times the speed when it is read.
	if err := writeFile(filepath.Join(dir, "chain.pk"), provingKey.WriteRawTo); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "chain.vk"), verifyingKey.WriteTo)
}

func printTip(seed string) error {
	element, err := parseElement("the seed", seed)
	if err != nil {
		return err
	}
	tip := tipOf(element)
	fmt.Println(tip.String())
	return nil
}

func prove(keyFile, seedFile, tipText, out string) error {
	text, err := os.ReadFile(seedFile)
	if err != nil {
		return err
	}
	seed, err := parseElement("the seed", strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("wrong seed: it is no number below the field's prime")
	}
	tip, err := parseElement("the tip", tipText)
	if err != nil {
		return err
	}
	if end := tipOf(seed); !end.Equal(&tip) {
		return fmt.Errorf("wrong seed: its chain ends in %s", end.String())
	}
	system, err := compile()
	if err != nil {
		return err
	}
	provingKey := groth16.NewProvingKey(ecc.BN254)
	// Its points are not checked again: the key comes with the program.
	if err := readFile(keyFile, provingKey.UnsafeReadFrom); err != nil {
		return err
	}
	witness, err := frontend.NewWitness(&chainCircuit{Seed: seed, Tip: tip}, ecc.BN254.ScalarField())
	if err != nil {
		return err
	}
	proof, err := groth16.Prove(system, provingKey, witness)
	if err != nil {
		return err
	}
	fmt.Printf("proved: a chain of %d hashes ends in %s\n", links, tip.String())
	return writeFile(out, proof.WriteTo)
}

func verify(keyFile, proofFile, tipText string) error {
	tip, err := parseElement("the tip", tipText)
	if err != nil {
		return err
	}
	verifyingKey := groth16.NewVerifyingKey(ecc.BN254)
	if err := readFile(keyFile, verifyingKey.ReadFrom); err != nil {
		return err
	}
	proof := groth16.NewProof(ecc.BN254)
	if err := readFile(proofFile, proof.ReadFrom); err != nil {
		return fmt.Errorf("proof refused: %w", err)
	}
	public, err := frontend.NewWitness(&chainCircuit{Tip: tip}, ecc.BN254.ScalarField(), frontend.PublicOnly())
	if err != nil {
		return err
	}
	if err := groth16.Verify(proof, verifyingKey, public); err != nil {
		return fmt.Errorf("proof refused: it does not show that anyone knows a seed of %s", tip.String())
	}
	fmt.Printf("valid: the prover knows a seed whose chain ends in %s\n", tip.String())
	return nil
}

func writeFile(path string, write func(io.Writer) (int64, error)) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := write(file); err != nil {
		return err
	}
	return file.Close()
}

// Reads a file of which nothing may be left over.
func readFile(path string, read func(io.Reader) (int64, error)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := read(file); err != nil {
		return fmt.Errorf("%s can't be read: %w", path, err)
	}
	if rest, _ := io.Copy(io.Discard, file); rest > 0 {
		return fmt.Errorf("%s has %d bytes too many", path, rest)
	}
	return nil
}
