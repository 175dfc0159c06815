import type { Argv, CommandModule } from "yargs";
import { type ReportOptions, report } from "./terminal/report.ts";

const NAME = "gevulot-devnet";
const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** Each asks the command itself, which knows its commands and options. */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_gevulot_devnet_completions() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" --get-yargs-completions "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _gevulot_devnet_completions ${NAME}
`,
  zsh: `#compdef ${NAME}
_gevulot_devnet_completions() {
  local -a found
  found=(\${(f)"$(SHELL=bash $words[1] --get-yargs-completions "\${(@)words[1,CURRENT]}" 2>/dev/null)"})
  if (( $#found )); then compadd -- $found; else _default; fi
}
compdef _gevulot_devnet_completions ${NAME}
`,
  fish: `function __fish_gevulot_devnet_completions
    SHELL=bash ${NAME} --get-yargs-completions (commandline -opc) (commandline -ct) 2>/dev/null
end
complete -c ${NAME} -f -n __fish_use_subcommand -a '(__fish_gevulot_devnet_completions)'
complete -c ${NAME} -n 'not __fish_use_subcommand' -a '(__fish_gevulot_devnet_completions)'
`,
};

const WHERE: Readonly<Record<Shell, string>> = {
  bash: `${NAME} completion bash >> ~/.bashrc`,
  zsh: `${NAME} completion zsh >> ~/.zshrc`,
  fish: `${NAME} completion fish > ~/.config/fish/completions/${NAME}.fish`,
};

type CompletionArgs = ReportOptions & { readonly shell: Shell };

export const completionCommand: CommandModule<object, CompletionArgs> = {
  command: "completion [shell]",
  describe: "Print a script that completes commands in bash, zsh or fish",
  builder: (yargs: Argv) => {
    for (const shell of SHELLS) yargs.example(WHERE[shell], `for ${shell}`);
    return yargs
      .positional("shell", { choices: SHELLS, default: "bash" as Shell, describe: "Which shell" })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" });
  },
  handler: ({ shell, json }) =>
    report("completion", { json }, async () => {
      return { lines: [SCRIPTS[shell].trimEnd()], data: { shell, script: SCRIPTS[shell] } };
    }),
};
