/** The file for most pages. */

import { engagement } from "./engagement";
import { clientHints } from "./hints";
import { interactions } from "./interactions";
import { install } from "./script";
import { scrub } from "./scrub";
import { visitor } from "./visitor";

install(scrub, visitor, clientHints, engagement, interactions);
