import type { Argv, CommandModule } from "yargs";

const NAMES = ["gevulot", "gevulot-cli"] as const;
const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** Each asks the command itself, which knows its commands and options. */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_gevulot_completions() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" --get-yargs-completions "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _gevulot_completions ${NAMES.join(" ")}
`,
  zsh: `#compdef ${NAMES.join(" ")}
_gevulot_completions() {
  local -a found
  found=(\${(f)"$(SHELL=bash $words[1] --get-yargs-completions "\${(@)words[1,CURRENT]}" 2>/dev/null)"})
  if (( $#found )); then compadd -- $found; else _default; fi
}
compdef _gevulot_completions ${NAMES.join(" ")}
`,
  fish: `${NAMES.map(
    (name) => `function __fish_${name.replace("-", "_")}_completions
    SHELL=bash ${name} --get-yargs-completions (commandline -opc) (commandline -ct) 2>/dev/null
end
complete -c ${name} -f -n __fish_use_subcommand -a '(__fish_${name.replace("-", "_")}_completions)'
complete -c ${name} -n 'not __fish_use_subcommand' -a '(__fish_${name.replace("-", "_")}_completions)'
`,
  ).join("")}`,
};

const WHERE: Readonly<Record<Shell, string>> = {
  bash: "gevulot completion bash >> ~/.bashrc",
  zsh: "gevulot completion zsh >> ~/.zshrc",
  fish: "gevulot completion fish > ~/.config/fish/completions/gevulot.fish",
};

export const completionCommand: CommandModule<object, { readonly shell: Shell }> = {
  command: "completion [shell]",
  describe: "Print a script that completes commands in bash, zsh or fish",
  builder: (yargs: Argv) => {
    for (const shell of SHELLS) yargs.example(WHERE[shell], `for ${shell}`);
    return yargs.positional("shell", {
      choices: SHELLS,
      default: "bash" as Shell,
      describe: "Which shell",
    });
  },
  handler: ({ shell }) => {
    process.stdout.write(SCRIPTS[shell]);
  },
};
