package main

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/mimc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	circuitmimc "github.com/consensys/gnark/std/hash/mimc"
)

// How often the seed is hashed, one hash after the other.
const links = 32

// "I know a seed from which a chain of hashes ends in this tip."
type chainCircuit struct {
	Seed frontend.Variable
	Tip  frontend.Variable `gnark:",public"`
}

func (c *chainCircuit) Define(api frontend.API) error {
	hash, err := circuitmimc.NewMiMC(api)
	if err != nil {
		return err
	}
	value := c.Seed
	for range links {
		hash.Reset()
		hash.Write(value)
		value = hash.Sum()
	}
	api.AssertIsEqual(value, c.Tip)
	return nil
}

func compile() (constraint.ConstraintSystem, error) {
	return frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &chainCircuit{})
}

// The same as the circuit, outside of it.
func tipOf(seed fr.Element) fr.Element {
	value := seed
	for range links {
		hash := mimc.NewMiMC()
		bytes := value.Bytes()
		// It refuses only what is no field element.
		_, _ = hash.Write(bytes[:])
		value.SetBytes(hash.Sum(nil))
	}
	return value
}

// A field element in decimal digits, and nothing that would be taken modulo the prime.
func parseElement(what, text string) (fr.Element, error) {
	var element fr.Element
	number, ok := new(big.Int).SetString(text, 10)
	if !ok || number.Sign() < 0 || number.Cmp(fr.Modulus()) >= 0 {
		return element, fmt.Errorf("%s %q is no number below the field's prime", what, text)
	}
	element.SetBigInt(number)
	return element, nil
}
